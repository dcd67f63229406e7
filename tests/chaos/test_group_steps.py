"""Three of each service, and one dies between two steps of a group of syncs: each sync stands once.

The steps are those of docs/decisions/0010 and 0044: a message is published after its commit and deleted after
its stream has confirmed it, and an outcome is acknowledged after its commit.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from signal import SIGKILL

import httpx
import pytest
import pytest_asyncio
from nats.aio.client import Client

from chassis.bus.connection import PUBLISH_TRIES
from chassis.bus.provision import create_streams
from deploy.simulator.okx.accounts import load_accounts
from tests.chaos.cutting import CLAIMED, OPENED, RECORDED, accepted_except, cutting, deleted, lease_ends
from tests.chaos.groups import CONSUMERS, EVENTS, OUTCOMES, REQUESTS, Group, unacknowledged
from tests.chaos.holding import (
    OF_EACH,
    SIZE,
    are,
    dies,
    of_each,
    outcomes_come,
    pulled,
    pulled_by_one_worker,
    refusing,
    suspended,
)
from tests.chaos.parts import World
from tests.conformance.simulated import write_accounts
from tests.loading import UNLIMITED
from tests.system.person import CALL_SECONDS, Person
from tests.waiting import until

SHARE = SIZE // OF_EACH
ACCOUNTS = [f"account-{number}" for number in range(2 * SIZE + 1)]


@pytest_asyncio.fixture(name="one_world", scope="module")
async def _one_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Run three of each service; the first of each is the one that dies."""
    directory = tmp_path_factory.mktemp("groups")
    write_accounts(directory / "accounts.toml", ACCOUNTS)
    world = await World.start(directory, directory / "accounts.toml", None, **UNLIMITED)
    for name in [*world.services]:
        for each in of_each(name)[1:]:
            world.services[each] = world.replica(name)
            await world.services[each].start()
    yield world
    await asyncio.gather(*(service.close() for service in world.services.values()))
    await world.stop()


@pytest_asyncio.fixture(name="people", scope="module")
async def _people(one_world: World) -> AsyncIterator[list[Person]]:
    """Yield users, each at an address of its own."""
    await until(one_world.ready, 30)
    simulated = load_accounts(one_world.directory / "accounts.toml")
    base = f"{one_world.services['gateway'].url}/api/v1"
    async with AsyncExitStack() as stack:
        people = []
        for number in range(SIZE + 2):
            address = httpx.AsyncHTTPTransport(local_address=f"127.0.1.{number + 1}")
            client = httpx.AsyncClient(transport=address, base_url=base, timeout=CALL_SECONDS)
            people.append(Person(await stack.enter_async_context(client), simulated))
        await asyncio.gather(*(person.sign_up() for person in people))
        yield people


@pytest_asyncio.fixture(name="owners", scope="module")
async def _owners(people: list[Person]) -> dict[str, Person]:
    """Connect an account for each user, but for the last user as many as all others have."""
    *singles, last = people
    owners = [*singles, *[last] * SIZE]
    few = asyncio.Semaphore(4)  # the gateway takes few at once of one user

    async def connected(name: str, person: Person) -> str:
        async with few:
            return str((await person.connect(name))["id"])

    ids = await asyncio.gather(*map(connected, ACCOUNTS, owners))
    return dict(zip(ids, owners, strict=True))


@pytest_asyncio.fixture(name="group")
async def _group(world: World, bus: Client, owners: dict[str, Person]) -> Group:
    group = Group(world, bus, owners, of_each("gateway"), SIZE)
    await group.begin()
    return group


async def test_before_the_commit_of_requests(world: World, bus: Client, group: Group) -> None:
    """None of them was published, and none stands; repeated elsewhere, each is accepted."""
    async with cutting(world, accepted_except(group.free)) as cut:
        requests = asyncio.create_task(group.request(group.accounts))
        await until(are(cut.waiting, SIZE))
        await group.request([group.free], 0)  # published after the others, if these were handed over
        await group.come(REQUESTS, 1)
        await world.services["gateway"].end(SIGKILL)
        await until(are(cut.waiting, SIZE - SHARE))
    await requests
    await world.services["gateway"].start()
    assert await group.count("syncs") == SIZE - SHARE + 1

    await group.request(group.of(0), 1)

    await group.ended_once()


async def test_after_the_claim_of_accounts_that_are_due(world: World, bus: Client, group: Group) -> None:
    """The gateway that has opened their syncs dies with all their requests: others publish each once."""
    scheduling = world.replica("gateway", SCHEDULED_SYNCS_WAITING="500")
    opened = "select account_id::text, id::text from syncs join scheduled_syncs on sync_id = id"
    await world.rows("update schedule set next_at = now() where account_id = any(%s::uuid[])", group.accounts)
    async with refusing(bus, REQUESTS):
        async with suspended(world, of_each("gateway")):
            await scheduling.start()
            await group.counts("outbox where attempts > 0", SIZE)
            await scheduling.end(SIGKILL)
        group.accepted = {str(account): str(sync) for account, sync in await world.rows(opened)}
        assert {*group.accepted} == {*group.accounts}

    await group.ended_once()

    assert await world.rows("select 1 from schedule where next_at <= now()") == []


async def test_before_the_commit_of_a_batch(world: World, bus: Client, group: Group) -> None:
    """The requests of all its syncs are in one transaction: none was published, and none stands."""
    async with cutting(world, OPENED) as cut:
        request = asyncio.create_task(group.request_batch(0))
        await until(are(cut.waiting, 1))
        assert await cut.waiting() == [SIZE]
        await group.request([group.free], 0)  # a single one does not wait
        await group.come(REQUESTS, 1)
        await world.services["gateway"].end(SIGKILL)
        await until(are(cut.waiting, 0))
    await request
    await world.services["gateway"].start()
    assert await group.count("syncs") == 1

    await group.request_batch(1)

    await group.ended_once()


async def test_between_the_claim_and_the_publishing(world: World, group: Group) -> None:
    """A relay has claimed all requests of a batch; when its lease ends, another one publishes them."""
    victim, *others = of_each("gateway")
    async with cutting(world, CLAIMED) as cut, suspended(world, others):
        await group.request_batch(0)
        assert await cut.gather() == SIZE
        async with world.services[victim].held():
            await cut.release()
            await group.counts("outbox where attempts = 1 and next_at > now()", SIZE)
            await dies(world, victim)
    assert await group.had(REQUESTS) == 0
    await lease_ends(world)

    await group.ended_once()


async def test_between_the_commit_and_the_hand_over(world: World, bus: Client, group: Group) -> None:
    """They wait in the outbox until their lease ends; repeated elsewhere, each names the same sync."""
    async with cutting(world, accepted_except(group.free)) as cut:
        requests = asyncio.create_task(group.request(group.accounts))
        await until(are(cut.waiting, SIZE))
        async with world.services["gateway"].held():
            await cut.release()
            await group.counts("syncs", SIZE)
            await dies(world, "gateway")
    await requests
    await group.come(REQUESTS, SIZE - SHARE)
    await group.counts("outbox where stream = 'SYNC_REQUESTS'", SHARE)
    await group.request(group.of(0), 1)
    await lease_ends(world)

    await group.ended_once()


async def test_between_publishing_and_the_confirmation(world: World, group: Group) -> None:
    """A silent stream has not confirmed them: no row is deleted, and another gateway publishes them."""
    async with world.nats.held():
        await group.request(group.accounts)
        await world.services["gateway"].end(SIGKILL)
        assert await group.count("outbox") == SIZE
    await world.services["gateway"].start()
    await lease_ends(world)

    await group.ended_once()


async def test_between_the_confirmation_and_the_deletion(world: World, group: Group) -> None:
    """Each gateway deletes several at once; those of the dead one are published again, and dropped."""
    async with cutting(world, deleted(REQUESTS)) as cut, world.exchange.held():
        await group.request(group.accounts)
        await group.come(REQUESTS, SIZE)
        await cut.gather()
        await until(are(cut.waiting, OF_EACH))
        await world.services["gateway"].end(SIGKILL)
        await until(are(cut.waiting, OF_EACH - 1))
    await world.services["gateway"].start()
    await lease_ends(world)

    await group.ended_once()


async def test_before_the_commit_of_outcomes(world: World, bus: Client, group: Group) -> None:
    """No event of them is published and none of them acknowledged; another gateway records them."""
    async with cutting(world, RECORDED) as cut:
        async with outcomes_come(world, bus, group):
            await pulled(bus, OUTCOMES, SIZE)
            together = await cut.gather()
            await group.request([group.free], 0)
            await group.come(REQUESTS, SIZE + 1)
            assert await unacknowledged(bus, OUTCOMES) >= together
            assert await group.had(EVENTS) <= SIZE - together
        await world.services["gateway"].end(SIGKILL)
        await until(are(cut.waiting, 0))
    await world.services["gateway"].start()

    await group.ended_once()


async def test_between_the_commit_and_the_ack_of_outcomes(world: World, bus: Client, group: Group) -> None:
    """They come again and change nothing; their events wait in the outbox until their lease ends."""
    async with cutting(world, RECORDED) as cut, outcomes_come(world, bus, group):
        await pulled(bus, OUTCOMES, SIZE)
        together = await cut.gather()
        async with world.services["gateway"].held():
            await cut.release()
            await group.counts("syncs where status <> 'queued'", SIZE)
            await world.services["gateway"].end(SIGKILL)
    await world.services["gateway"].start()
    assert await unacknowledged(bus, OUTCOMES) >= together
    assert await group.had(EVENTS) <= SIZE - together
    await lease_ends(world)

    await group.ended_once()


async def test_between_the_ack_and_the_publishing_of_events(world: World, bus: Client, group: Group) -> None:
    """The stream refuses them: each row stays, and another gateway publishes it later."""
    async with refusing(bus, EVENTS):
        await group.request(group.accounts)
        await group.counts("syncs where status <> 'queued'", SIZE)
        await pulled(bus, OUTCOMES, 0)
        await group.counts("outbox", SIZE)
        await dies(world, "gateway")
    await lease_ends(world)

    await group.ended_once()


async def test_between_the_publishing_of_events_and_the_ack(world: World, bus: Client, group: Group) -> None:
    """All outcomes that the bus has ever had come again, and no event of them a second time."""
    async with cutting(world, RECORDED) as cut, outcomes_come(world, bus, group):
        await pulled(bus, OUTCOMES, SIZE)
        await cut.gather()
        await bus.jetstream().delete_consumer(OUTCOMES, CONSUMERS[OUTCOMES])
        await cut.release()
        await group.come(EVENTS, SIZE)
        await world.services["gateway"].end(SIGKILL)
    await world.services["gateway"].start()
    await create_streams(bus.jetstream())
    await lease_ends(world)

    await group.ended_once()


async def test_between_the_publishing_and_the_deletion_of_events(
    world: World, bus: Client, group: Group
) -> None:
    """They are published again, and dropped."""
    async with cutting(world, deleted(EVENTS)) as cut:
        async with outcomes_come(world, bus, group):
            await group.come(EVENTS, SIZE)
            await cut.gather()
            await world.services["gateway"].end(SIGKILL)
        await until(are(cut.waiting, 0))
    await world.services["gateway"].start()
    await lease_ends(world)

    await group.ended_once()


async def test_between_pulling_and_reading(world: World, bus: Client, group: Group) -> None:
    """A worker has pulled all requests: the others read them."""
    async with world.exchange.held():
        await pulled_by_one_worker(world, bus, group)
        await dies(world, "sync-worker")

    await group.ended_once()


async def test_between_reading_and_publishing_the_outcomes(world: World, bus: Client, group: Group) -> None:
    """The stream has refused all of them: no request is acknowledged, and the others read again."""
    async with refusing(bus, OUTCOMES):
        async with world.exchange.held():
            await pulled_by_one_worker(world, bus, group)

        async def refused() -> bool:
            failures = 'butler_publish_failures_total{stream="SYNC_OUTCOMES"}'
            tries = await world.services["sync-worker"].metric(failures)
            return tries > (SIZE - 1) * PUBLISH_TRIES  # none of them is still to be tried

        await until(refused)
        assert await unacknowledged(bus, REQUESTS) == SIZE
        await dies(world, "sync-worker")

    await group.ended_once()


async def test_between_publishing_the_outcomes_and_the_ack(world: World, bus: Client, group: Group) -> None:
    """The others get all requests again, and the stream drops their outcomes."""
    async with world.exchange.held():
        await pulled_by_one_worker(world, bus, group)
        await bus.jetstream().delete_consumer(REQUESTS, CONSUMERS[REQUESTS])
    await group.come(OUTCOMES, SIZE)
    await dies(world, "sync-worker")
    await create_streams(bus.jetstream())

    await group.ended_once()


async def test_while_brokers_sign(world: World, bus: Client, group: Group) -> None:
    """Each of them has requests of the workers, who ask the others for those of the dead one."""
    async with suspended(world, of_each("vault-broker")):
        await group.request(group.accounts)
        await pulled(bus, REQUESTS, SIZE)
        await dies(world, "vault-broker")

    await group.ended_once()

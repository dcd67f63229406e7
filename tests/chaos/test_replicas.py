"""Two gateways, two workers and two brokers are one system, even when one of each dies."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from signal import SIGKILL

import httpx
import pytest
import pytest_asyncio
from nats.aio.client import Client

from deploy.local.postgres import GATEWAY
from deploy.local.sockets import NAME
from deploy.simulator.okx.accounts import load_accounts
from tests.chaos.blackhole import Blackhole
from tests.chaos.parts import Service, World
from tests.chaos.test_outages import over
from tests.system.person import CALL_SECONDS, Person
from tests.waiting import passed, until

ACCOUNTS = [f"account-{number}" for number in range(10, 40)]
END_SECONDS = 90
# Noticing takes a second and a half after a second at most, then its messages are returned.
FEW_SECONDS = 5.0
HANDLED = 'butler_deliveries_total{consumer="gateway",outcome="done"}'


@pytest_asyncio.fixture(name="seconds")
async def _seconds(world: World) -> AsyncIterator[dict[str, Service]]:
    """Run another process of each service."""
    replicas = {name: world.replica(name) for name in world.services}
    for service in replicas.values():
        await service.start()
    for service in replicas.values():
        await until(service.ready)
    yield replicas
    for service in replicas.values():
        await service.close()


@pytest_asyncio.fixture(name="people")
async def _people(world: World, seconds: dict[str, Service]) -> AsyncIterator[tuple[Person, Person]]:
    """Yield one user, signed in through the first gateway, at both."""
    accounts = load_accounts(world.directory / "accounts.toml")
    async with AsyncExitStack() as stack:
        at_both = []
        for gateway in (world.services["gateway"], seconds["gateway"]):
            client = httpx.AsyncClient(
                base_url=f"{gateway.url}/api/v1", timeout=CALL_SECONDS, trust_env=False
            )
            at_both.append(Person(await stack.enter_async_context(client), accounts))
        first, second = at_both
        await first.sign_up()
        second.client.headers["Authorization"] = first.client.headers["Authorization"]
        yield first, second


async def outcomes_per_sync(world: World) -> set[object]:
    """Return the number of recorded outcomes of each sync."""
    query = """select count(audit.id) from syncs left join audit
               on audit.subject = syncs.id and action = 'sync_recorded' group by syncs.id"""
    return {count for (count,) in await world.rows(query)}


async def test_either_gateway_knows_what_the_other_was_asked(
    world: World, people: tuple[Person, Person]
) -> None:
    """A sync that one accepted and the other recorded wakes the waiting client; a key is one sync at both."""
    first, second = people
    account = await first.connect("account-9")
    path = f"/accounts/{account['id']}/sync"

    for number in range(10):
        answers = await asyncio.gather(
            *(person.post(path, Idempotency_Key=f"key-{number}") for person in people * 2)
        )
        assert len({answer["sync_id"] for answer in answers}) == 1
        assert all(answer["success"] in {True, False} for answer in answers)
        assert await second.get(f"/syncs/{answers[0]['sync_id']}") == answers[0]

    assert await outcomes_per_sync(world) == {1}


async def test_one_of_each_may_die(
    world: World, people: tuple[Person, Person], seconds: dict[str, Service]
) -> None:
    """Thirty accounts sync while one process of each service is killed: each sync succeeds once."""
    first, second = people
    accounts = [await first.connect(name) for name in ACCOUNTS]
    async with world.exchange.held():
        batch = await second.post("/accounts/sync-all", status=202, Prefer="respond-async")
        assert batch["total"] == len(accounts)
        for service in world.services.values():
            await service.end(SIGKILL)

    for row in batch["results"]:
        await until(over(world, row["sync_id"]), END_SECONDS)
    ended = await second.get(f"/sync-batches/{batch['batch_id']}")
    assert (ended["successful"], ended["failed"], ended["pending"]) == (len(accounts), 0, 0)
    assert await outcomes_per_sync(world) == {1}
    for service in world.services.values():
        await service.start()


@pytest.mark.parametrize("lose", [Blackhole.shut, Blackhole.cut], ids=["silent", "refused"])
async def test_a_gateway_without_its_database_takes_no_work(
    world: World, person: Person, bus: Client, lose: Callable[[Blackhole], None]
) -> None:
    """Syncs at the healthy gateway end in seconds meanwhile; the other takes its share again by itself."""
    accounts = [await person.connect(f"account-{number}") for number in range(40, 44)]

    async def sync_all() -> set[str]:
        paths = [f"/accounts/{account['id']}/sync" for account in accounts]
        return {sync["status"] for sync in await asyncio.gather(*map(person.post, paths))}

    target = Path(world.parts.database.host("gateway")) / NAME
    async with Blackhole(target) as way, AsyncExitStack() as stack:
        url = replace(world.parts.database, port=way.port, sockets=None).url(GATEWAY)
        sick = world.replica("gateway", DATABASE_URL=url)
        stack.push_async_callback(sick.close)
        await sick.start()
        await until(sick.ready)
        lose(way)

        for _ in range(8):
            began = time.monotonic()
            assert await sync_all() == {"completed"}
            assert time.monotonic() - began < FEW_SECONDS
            await until(passed(1.0))
        assert await sick.not_ready() == ["database"]
        handled = await sick.metric(HANDLED)
        way.open()

        async def both_ask() -> bool:
            info = await bus.jetstream().consumer_info("SYNC_OUTCOMES", "gateway")
            return bool(info.num_waiting == 2)

        await until(sick.ready)
        await until(both_ask)
        for _ in range(3):
            assert await sync_all() == {"completed"}
        assert await sick.metric(HANDLED) > handled
    assert await outcomes_per_sync(world) == {1}

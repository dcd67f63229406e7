"""Of three NATS servers one dies, or all: no sync that the API accepted is lost or done twice."""

import asyncio
from collections.abc import AsyncIterator, Callable
from signal import SIGKILL

import httpx
import nats as nats_client
import pytest
import pytest_asyncio
from nats.aio.client import Client

from contracts.wire.topology import OUTCOMES_CONSUMER, sync_worker_consumer
from deploy.bus_keys import seed as seed_of
from deploy.simulator.okx.accounts import load_accounts
from tests.chaos.blackhole import Blackhole
from tests.chaos.cluster import START_SECONDS, Cluster
from tests.chaos.load import flows, under_load
from tests.chaos.parts import World
from tests.conformance.simulated import write_accounts
from tests.system.person import CALL_SECONDS, Person
from tests.waiting import IN_THE_CLEAR, until

Accounts = list[tuple[Person, str]]
ACCOUNTS = [f"account-{number}" for number in range(20)]
# The servers elect a leader in 4 to 9 s; a client notices that packets are dropped after 6 s.
RESUME_SECONDS = 20
# A leader stays one for 10 s without followers. Then each service waits for 15 to 19 s until it leaves.
LEAVE_SECONDS = 50
# After half a minute without packets, TCP sends what is unacknowledged only every half minute.
HEAL_SECONDS = 90
# Less than an election takes after the death of a leader.
FEW_SECONDS = 5
# More than the ten seconds after which a living process reports progress.
ACK_WAIT_SECONDS = 12.0
# When a server dies during a handshake, nats-py drops the writer; here in the administrator's client.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <StreamWriter:ResourceWarning")


@pytest_asyncio.fixture(name="cluster", scope="module")
async def _cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    await cluster.stop()


@pytest_asyncio.fixture(name="one_world", scope="module")
async def _one_world(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Run the services on the cluster; they know the addresses of all its servers."""
    directory = tmp_path_factory.mktemp("world")
    write_accounts(directory / "accounts.toml", ACCOUNTS)
    bus = await cluster.start()
    settings = {"SYNC_LIMIT_PER_MINUTE": "10000", "SUBMISSIONS_AT_ONCE": "100"}
    world = await World.start(directory, directory / "accounts.toml", bus, **settings)
    yield world
    await world.stop()


@pytest_asyncio.fixture(name="person", scope="module")
async def _person(one_world: World) -> AsyncIterator[Person]:
    base = f"{one_world.services['gateway'].url}/api/v1"
    async with httpx.AsyncClient(
        verify=IN_THE_CLEAR, base_url=base, timeout=CALL_SECONDS, trust_env=False
    ) as client:
        person = Person(client, load_accounts(one_world.directory / "accounts.toml"))
        await person.sign_up()
        yield person


@pytest_asyncio.fixture(name="accounts", scope="module")
async def _accounts(person: Person) -> Accounts:
    return [(person, account["id"]) for account in await asyncio.gather(*map(person.connect, ACCOUNTS))]


@pytest_asyncio.fixture(autouse=True, scope="module")
async def _impatient(one_world: World, cluster: Cluster) -> None:
    """Shorten the wait for the ack of a message whose delivery was lost; the rules do not depend on it."""
    async with await administering(one_world, cluster) as client:
        await until(lambda: cluster.complete(client), START_SECONDS)
        stream = client.jetstream(timeout=START_SECONDS)
        for consumer in (OUTCOMES_CONSUMER, sync_worker_consumer("okx")):
            config = (await stream.consumer_info(consumer.stream, consumer.name)).config
            await stream.add_consumer(consumer.stream, config.evolve(ack_wait=ACK_WAIT_SECONDS))


async def administering(world: World, cluster: Cluster) -> Client:
    """Connect as the administrator."""
    bus = world.parts.nats
    return await nats_client.connect(
        cluster.urls,
        nkeys_seed_str=seed_of(bus.seed_file("admin")),
        tls=bus.context("admin"),
        tls_handshake_first=True,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.2,
        ping_interval=2,
    )


@pytest_asyncio.fixture(name="bus")
async def _bus(one_world: World, cluster: Cluster) -> AsyncIterator[Client]:
    """Yield the administrator's connection to the cluster, which is complete before and after the test."""
    async with await administering(one_world, cluster) as client:
        await until(lambda: cluster.complete(client), START_SECONDS)
        yield client
        await until(cluster.healthy, HEAL_SECONDS)
        await until(lambda: cluster.complete(client), HEAL_SECONDS)


@pytest.mark.parametrize("stream", ["SYNC_REQUESTS", "SYNC_OUTCOMES"])
async def test_a_leader_that_dies_is_replaced(
    world: World, accounts: Accounts, bus: Client, cluster: Cluster, stream: str
) -> None:
    """The other two servers go on without it, and take it back."""
    async with under_load(world, bus, accounts) as load:
        await flows(world, load, RESUME_SECONDS)
        leader = await cluster.leader(bus, stream)
        await leader.end(SIGKILL)
        await flows(world, load, RESUME_SECONDS)
        assert await cluster.leader(bus, stream) is not leader
        await leader.start()
        await until(leader.healthy, START_SECONDS)
        await flows(world, load, RESUME_SECONDS)


async def test_a_server_that_is_cut_off_is_done_without(
    world: World, accounts: Accounts, bus: Client, cluster: Cluster
) -> None:
    """Its clients go to the others, which elect a leader; when it is back it takes what it has missed.

    Clients know no addresses but those that they were told.
    """
    assert bus.discovered_servers == []
    async with under_load(world, bus, accounts) as load:
        await flows(world, load, RESUME_SECONDS)
        with cluster.cut_off(await cluster.leader(bus, "SYNC_REQUESTS")):
            await flows(world, load, RESUME_SECONDS)
            await until(world.ready, RESUME_SECONDS)
        await until(cluster.healthy, START_SECONDS)
        await flows(world, load, RESUME_SECONDS)


@pytest.mark.parametrize("how", [Blackhole.cut, Blackhole.shut])
async def test_a_server_without_routes_loses_its_clients(
    world: World,
    accounts: Accounts,
    bus: Client,
    cluster: Cluster,
    how: Callable[[Blackhole], None],
) -> None:
    """It keeps their connections, but they leave it, whether its routes end or drop packets."""
    alone = await cluster.leader(bus, "SYNC_REQUESTS")
    with cluster.only_to(alone):
        await until(world.ready, RESUME_SECONDS)
    async with under_load(world, bus, accounts) as load:
        await flows(world, load, RESUME_SECONDS)
        with cluster.without_routes(alone, how):
            await flows(world, load, LEAVE_SECONDS)
            await until(world.ready, RESUME_SECONDS)
        await until(cluster.healthy, HEAL_SECONDS)


async def test_all_servers_may_die_at_once(
    world: World, accounts: Accounts, bus: Client, cluster: Cluster
) -> None:
    """The API accepts syncs meanwhile; on their data the servers go on where they were."""
    async with under_load(world, bus, accounts) as load:
        await flows(world, load, RESUME_SECONDS)
        await asyncio.gather(*(server.end(SIGKILL) for server in cluster.servers.values()))
        seen = len(load.accepted)

        async def accepts() -> bool:
            return len(load.accepted) > seen

        await until(accepts)
        await asyncio.gather(*(server.start() for server in cluster.servers.values()))
        await flows(world, load, RESUME_SECONDS)


async def test_servers_may_leave_one_after_the_other(
    world: World, accounts: Accounts, bus: Client, cluster: Cluster
) -> None:
    """As in an update of the StatefulSet: each ends by lame-duck mode, and is back before the next one."""
    async with under_load(world, bus, accounts) as load:
        for server in cluster.servers.values():
            await flows(world, load, RESUME_SECONDS)
            await server.leave()
            await flows(world, load, FEW_SECONDS)
            await server.start()
            await until(server.healthy, START_SECONDS)

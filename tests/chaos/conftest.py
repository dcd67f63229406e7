"""The whole system, started for each test module; every test finds it complete and must leave it so."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import httpx
import pytest
import pytest_asyncio
from nats.aio.client import Client

from deploy.simulator.okx.accounts import load_accounts
from tests.chaos.parts import READY_SECONDS, World
from tests.cluster.rolling import BASE, USERS, Endpoints
from tests.conformance.simulated import NUMBERED, Admin, administering, write_accounts
from tests.joining import joined
from tests.system.person import CALL_SECONDS, Person
from tests.waiting import IN_THE_CLEAR, until

if TYPE_CHECKING:
    from tests.cluster.system import ContainerSystem


@pytest_asyncio.fixture(name="one_world", scope="module")
async def _one_world(
    cluster: "ContainerSystem | None", tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    if cluster:
        from tests.cluster.world import ContainerWorld  # noqa: PLC0415 - see the fixture `cluster`

        yield ContainerWorld(cluster, cluster.directory)
        return
    directory = tmp_path_factory.mktemp("chaos")
    write_accounts(directory / "accounts.toml", NUMBERED)
    world = await World.start(directory, directory / "accounts.toml")
    yield world
    await world.stop()


@pytest_asyncio.fixture(name="world")
async def _world(one_world: World) -> AsyncIterator[World]:
    """Yield the system, all of it ready before the test and again within ten seconds after it."""
    await until(one_world.ready, READY_SECONDS)
    yield one_world
    await until(one_world.ready, READY_SECONDS)
    assert await one_world.rows("select id from syncs where status = 'queued'") == []


@pytest_asyncio.fixture(name="person")
async def _person(world: World) -> AsyncIterator[Person]:
    base = f"{world.services['gateway'].url}/api/v1"
    async with httpx.AsyncClient(
        verify=IN_THE_CLEAR, base_url=base, timeout=CALL_SECONDS, trust_env=False
    ) as client:
        person = Person(client, load_accounts(world.directory / "accounts.toml"))
        await person.sign_up()
        yield person


@pytest_asyncio.fixture(name="admin")
async def _admin(world: World) -> AsyncIterator[Admin]:
    """Yield the admin port of the exchange."""
    async with administering(world.parts.simulator) as admin:
        yield admin


@pytest_asyncio.fixture(name="bus")
async def _bus(world: World) -> AsyncIterator[Client]:
    """Yield the administrator's connection to the bus."""
    bus = world.parts.nats
    async with await joined(bus, "admin", max_reconnect_attempts=-1, reconnect_time_wait=0.2) as client:
        yield client


@pytest.fixture(name="endpoints")
def _endpoints(whole_cluster: "ContainerSystem") -> Endpoints:
    endpoints = Endpoints()
    endpoints.ports = [whole_cluster.pods["gateway"].ports["api"]]
    return endpoints


@pytest_asyncio.fixture(name="people")
async def _people(world: World, endpoints: Endpoints) -> AsyncIterator[list[Person]]:
    simulated = load_accounts(world.directory / "accounts.toml")
    async with AsyncExitStack() as stack:
        people = []
        for _ in range(USERS):
            client = httpx.AsyncClient(transport=endpoints, base_url=BASE, timeout=CALL_SECONDS)
            people.append(Person(await stack.enter_async_context(client), simulated))
            await people[-1].sign_up()
        yield people

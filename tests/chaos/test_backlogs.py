"""Requests that wait for more than half of their deadline are done once, and lost ones all the same."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from nats.aio.client import Client

from chassis.bus.provision import create_streams
from tests.chaos.parts import World
from tests.chaos.test_outages import requested
from tests.system.person import Person
from tests.waiting import passed, until

DEADLINE_SECONDS = 36
START_SECONDS = 30
LOSSES = ("purged", "made anew")


@pytest_asyncio.fixture(name="paths")
async def _paths(world: World, person: Person) -> AsyncIterator[list[str]]:
    """Yield accounts of a person whose syncs have a short deadline, while the worker is away."""
    paths = [f"/accounts/{(await person.connect(f'account-{number}'))['id']}" for number in range(5)]
    gateway = world.services["gateway"]
    await gateway.end()
    hurried = type(gateway)(
        world.directory, "gateway", gateway._environment | {"SYNC_DEADLINE_SECONDS": str(DEADLINE_SECONDS)}
    )
    await hurried.start()
    await until(hurried.ready, START_SECONDS)
    await world.services["sync-worker"].end()
    yield paths
    await hurried.end()
    await gateway.start()
    await until(gateway.ready, START_SECONDS)


async def all_succeeded(world: World, sync_ids: list[str]) -> bool:
    """Return whether each sync has its outcome, and a good one."""
    rows = await world.rows("select status from syncs where id = any(%s)", sync_ids)
    return rows == [("completed",)] * len(sync_ids)


async def test_a_backlog_is_done_once(world: World, person: Person, bus: Client, paths: list[str]) -> None:
    """A worker that comes back after more than half of the deadline finds each request once."""
    before = (await bus.jetstream().stream_info("SYNC_REQUESTS")).state.last_seq
    sync_ids = [await requested(person, path) for path in paths]
    await until(passed(DEADLINE_SECONDS / 2 + 6), DEADLINE_SECONDS)
    await world.services["sync-worker"].start()

    await until(lambda: all_succeeded(world, sync_ids), DEADLINE_SECONDS)
    after = (await bus.jetstream().stream_info("SYNC_REQUESTS")).state.last_seq
    assert after - before == len(paths)


@pytest.mark.parametrize("loss", LOSSES)
async def test_a_lost_backlog_is_done_all_the_same(
    world: World, person: Person, bus: Client, paths: list[str], loss: str
) -> None:
    """Requests that the bus has lost are published again in time for their syncs to succeed."""
    sync_ids = [await requested(person, path) for path in paths]

    async def published() -> bool:
        return await world.rows("select 1 from outbox where stream = 'SYNC_REQUESTS'") == []

    await until(published)
    if loss == "purged":
        await bus.jetstream().purge_stream("SYNC_REQUESTS")
    else:
        await bus.jetstream().delete_stream("SYNC_REQUESTS")
        await create_streams(bus.jetstream())
    await world.services["sync-worker"].start()

    await until(lambda: all_succeeded(world, sync_ids), DEADLINE_SECONDS)
    rows = await world.rows("select publications from syncs where id = any(%s)", sync_ids)
    assert rows == [(2,)] * len(paths)

"""A process dies at any step of a sync: the sync ends, once, with the exchange's balances."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from itertools import product
from signal import SIGKILL, SIGTERM, Signals

import pytest
import pytest_asyncio
from nats.aio.client import Client

from deploy.local.postgres import SUPERUSER
from tests.chaos.parts import World
from tests.system.person import Person
from tests.waiting import until

# These tests redeliver a dead process's message after these seconds, not after 30, because the rule does
# not depend on them. They exceed the ten seconds after which a living one reports progress.
ACK_WAIT_SECONDS = 12.0
HOLDING = (("SYNC_REQUESTS", "sync-worker-okx"), ("SYNC_OUTCOMES", "gateway"))
END_SECONDS = 60
VICTIMS = ("gateway", "sync-worker", "vault-broker")


@asynccontextmanager
async def accepted(world: World) -> AsyncIterator[None]:
    """Keep a sync in the outbox: the bus is silent."""
    async with world.nats.held():
        yield


@asynccontextmanager
async def handed_over(world: World) -> AsyncIterator[None]:
    """Keep a sync in flight to a worker that is suspended."""
    async with world.services["sync-worker"].held():
        yield


@asynccontextmanager
async def authorizing(world: World) -> AsyncIterator[None]:
    """Keep a worker waiting for signatures: the broker is suspended."""
    async with world.services["vault-broker"].held():
        yield


@asynccontextmanager
async def reading(world: World) -> AsyncIterator[None]:
    """Keep a worker waiting for the exchange."""
    async with world.exchange.held():
        yield


@asynccontextmanager
async def recording(world: World) -> AsyncIterator[None]:
    """Prevent the recording of an outcome: a transaction locks the rows of all accounts."""
    async with await world.parts.database.connect(SUPERUSER) as connection, connection.transaction():
        await connection.execute("select from accounts for update")
        yield


Step = Callable[[World], AbstractAsyncContextManager[None]]
STEPS: dict[str, Step] = {
    step.__name__: step for step in (accepted, handed_over, authorizing, reading, recording)
}


# The service that holds the sync at each step.
HOLDERS = {
    "accepted": "gateway",
    "handed_over": "sync-worker",
    "authorizing": "vault-broker",
    "reading": "sync-worker",
    "recording": "gateway",
}


# In containers each is killed at each step, and terminated where it holds the sync.
CASES = [
    pytest.param(
        *(step, victim, signal),
        id=f"{step}-{victim}-{signal.name}",
        marks=[pytest.mark.cluster] if signal is SIGKILL or HOLDERS[step] == victim else [],
    )
    for step, victim, signal in product(STEPS, VICTIMS, (SIGKILL, SIGTERM))
]


async def reached(world: World, bus: Client, step: str) -> bool:
    """Return whether the sync has reached the step at which it is held."""
    if step == "accepted":
        return bool(await world.rows("select 1 from outbox"))
    stream, consumer = ("SYNC_REQUESTS", "sync-worker-okx")
    if step == "recording":
        stream, consumer = ("SYNC_OUTCOMES", "gateway")
    info = await bus.jetstream().consumer_info(stream, consumer)
    # A worker that is suspended between two of its pull requests gets no delivery: the request waits.
    waits = step == "handed_over" and info.num_pending
    return bool(info.num_ack_pending or waits)


@pytest_asyncio.fixture(autouse=True)
async def _impatient(bus: Client) -> None:
    """Shorten the bus's ack wait."""
    for stream, consumer in HOLDING:
        config = (await bus.jetstream().consumer_info(stream, consumer)).config
        config.ack_wait = ACK_WAIT_SECONDS
        await bus.jetstream().add_consumer(stream, config)


@pytest.mark.parametrize(("step", "victim", "signal"), CASES)
async def test_a_sync_ends_once_whoever_dies(
    world: World, person: Person, bus: Client, step: str, victim: str, signal: Signals
) -> None:
    """Killed or terminated, at any step, and restarted: one outcome, and it is complete."""
    account = await person.connect("account-0")
    path = f"/accounts/{account['id']}/sync"
    async with AsyncExitStack() as holds:
        if step == "recording":  # which begins after the sync was accepted, with the exchange still silent
            async with world.exchange.held():
                sync = await person.post(path, status=202, Prefer="respond-async")
                await holds.enter_async_context(recording(world))
        else:
            await holds.enter_async_context(STEPS[step](world))
            sync = await person.post(path, status=202, Prefer="respond-async")
        await until(lambda: reached(world, bus, step))
        await world.services[victim].end(signal)
        await world.services[victim].start()

    async def ended() -> bool:
        over = "select 1 from syncs where id = %s and status <> 'queued'"
        return bool(await world.rows(over, sync["sync_id"]))

    await until(ended, END_SECONDS)
    await until(world.services["gateway"].ready)
    shown = await person.get(f"/syncs/{sync['sync_id']}")
    assert (shown["success"], shown["holdings_count"]) == (True, 2)
    recorded = "select 1 from audit where action = 'sync_recorded' and subject = %s"
    assert len(await world.rows(recorded, sync["sync_id"])) == 1

"""A replica that lost a dependency takes no message, and returns those that it was handed."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from nats.aio.client import Client

from chassis.bus.connection import Bus
from chassis.bus.consume import Handler, consume
from chassis.bus.delivery import Delivery, RetryLater
from chassis.bus.gate import GIVE_BACK_DELAY, PROBE_EVERY, PROBE_SECONDS, Gate
from chassis.bus.pull import FETCH_SECONDS
from contracts import subjects
from contracts.wire.topology import sync_worker_consumer
from tests.waiting import passed, until

SUBJECT, CONSUMER = subjects.sync_requested("okx"), sync_worker_consumer("okx")
# Noticing, returning and a probe in progress.
SOON = PROBE_EVERY + PROBE_SECONDS + GIVE_BACK_DELAY + FETCH_SECONDS
LONG = 60.0


class Needed:
    """The handler's dependency: up, away (an error), or silent (it hangs, also when cancelled)."""

    def __init__(self) -> None:
        self.state = "there"

    async def probe(self) -> bool:
        """Behave like the dependency when probed."""
        if self.state == "away":
            raise ConnectionError
        while self.state == "silent":
            try:
                await asyncio.sleep(0.1)
            except asyncio.CancelledError:
                await asyncio.sleep(1)
        return True


class Replica:
    """A worker behind a gate, with the messages its handler received."""

    def __init__(self, bus: Bus, needed: Needed) -> None:
        self.bus, self.needed = bus, needed
        self.gate = Gate("database", needed.probe)
        self.handed: asyncio.Queue[Delivery] = asyncio.Queue()

    async def start(self, handle: Handler) -> None:
        """Consume with a handler, and watch the gate."""

        async def noting(delivery: Delivery) -> None:
            self.handed.put_nowait(delivery)
            await handle(delivery)

        self.bus.gates.append(self.gate.is_open)
        consume(self.bus, CONSUMER, self.gate.guard(noting), 4)
        await self.bus.start()
        self._watching = asyncio.create_task(self.gate.watch())

    async def stop(self) -> None:
        """Stop."""
        self._watching.cancel()
        await self.bus.stop()

    async def shut(self) -> bool:
        """Return whether the gate is shut."""
        return not self.gate.is_open()


@pytest_asyncio.fixture(name="replica")
async def _replica(admin: Client, new_bus: Callable[[str], Bus]) -> AsyncIterator[Replica]:
    replica = Replica(new_bus("sync-worker"), Needed())
    yield replica
    replica.needed.state = "there"
    await replica.stop()


async def done(_delivery: Delivery) -> None:
    """Handle a message."""


async def by_another(admin: Client) -> None:
    """Take a message as another replica would, and settle it; fails if none comes soon."""
    other = await admin.jetstream().pull_subscribe_bind(CONSUMER.name, CONSUMER.stream)
    (message,) = await other.fetch(1, timeout=SOON)
    await message.ack_sync()


@pytest.mark.parametrize("state", ["away", "silent"])
async def test_nothing_is_pulled_while_the_gate_is_shut(admin: Client, replica: Replica, state: str) -> None:
    """Messages wait for the others; when the dependency is back the replica takes them again by itself."""
    await replica.start(done)
    replica.needed.state = state
    await until(replica.shut, SOON)
    await until(passed(FETCH_SECONDS))  # the messages of the earlier pull
    await admin.jetstream().publish(SUBJECT, b"{}")
    await until(passed(2 * FETCH_SECONDS))

    info = await admin.jetstream().consumer_info(CONSUMER.stream, CONSUMER.name)
    assert (info.num_pending, info.num_ack_pending, replica.handed.qsize()) == (1, 0, 0)

    replica.needed.state = "there"
    await asyncio.wait_for(replica.handed.get(), SOON)


@pytest.mark.parametrize("state", ["away", "silent"])
async def test_what_was_handed_over_goes_back_at_once(admin: Client, replica: Replica, state: str) -> None:
    """Another replica has it within seconds, though this handler hangs, even when cancelled."""
    cut = asyncio.Event()

    async def hang(_delivery: Delivery) -> None:
        try:
            await asyncio.sleep(LONG)
        finally:
            cut.set()
            await asyncio.sleep(2 * SOON)

    await replica.start(hang)
    await admin.jetstream().publish(SUBJECT, b"{}")
    await asyncio.wait_for(replica.handed.get(), SOON)

    replica.needed.state = state

    await until(replica.shut, SOON)
    await by_another(admin)
    assert cut.is_set()


@pytest.mark.parametrize("error", [RetryLater(LONG, "the database is away"), RuntimeError("a surprise")])
async def test_a_handler_that_meets_the_loss_first_does_not_wait(
    admin: Client, replica: Replica, error: Exception
) -> None:
    """Its delay is long, or it fails: the probe finds the reason, and the message is returned at once."""

    async def meet(_delivery: Delivery) -> None:
        replica.needed.state = "away"
        raise error

    await replica.start(meet)
    await admin.jetstream().publish(SUBJECT, b"{}")
    await asyncio.wait_for(replica.handed.get(), SOON)

    await until(replica.shut, SOON)
    await by_another(admin)


async def test_a_fault_of_one_message_shuts_nothing(admin: Client, replica: Replica) -> None:
    """While the dependency is up, a handler's delay affects its message only."""
    delays = [1.5]

    async def fail_once(_delivery: Delivery) -> None:
        if delays:
            raise RetryLater(delays.pop(), "locked")

    await replica.start(fail_once)
    await admin.jetstream().publish(SUBJECT, b"{}")
    await asyncio.wait_for(replica.handed.get(), SOON)
    began = time.monotonic()
    assert not await replica.shut()

    assert (await asyncio.wait_for(replica.handed.get(), SOON)).attempt == 2
    assert time.monotonic() - began > 1.0

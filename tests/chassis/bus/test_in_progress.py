"""A message is not redelivered while a handler works on it, including while its outcome is published."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import pytest
import pytest_asyncio
from nats.aio.client import Client

from chassis.bus.connection import Bus
from chassis.bus.consume import Handler, consume
from chassis.bus.delivery import Delivery
from chassis.bus.provision import create_streams
from contracts import subjects
from contracts.wire.envelope import Malformed
from contracts.wire.topology import STREAMS, Consumer, sync_worker_consumer
from tests.waiting import passed, until

NewBus = Callable[[str], Bus]
SUBJECT = subjects.sync_requested("okx")
OUTCOME = subjects.sync_completed("okx")
CONSUMER = msgspec.structs.replace(sync_worker_consumer("okx"), ack_wait=2.0)
STREAM_BY_NAME = {stream.name: stream for stream in STREAMS}
# The number of tries of a publication, two seconds each, before the ack wait is over twice.
TRIES = 3


@pytest_asyncio.fixture(name="consumer")
async def _consumer(admin: Client) -> AsyncIterator[Consumer]:
    """Yield a consumer that redelivers after two seconds of silence."""
    jetstream = admin.jetstream()
    await jetstream.add_consumer(CONSUMER.stream, CONSUMER.config())
    yield CONSUMER
    await jetstream.add_consumer(CONSUMER.stream, sync_worker_consumer("okx").config())


class Working:
    """A worker that counts the deliveries of the only message, and handles each as set."""

    def __init__(self, bus: Bus, work: Handler) -> None:
        self.deliveries = 0
        self.done = asyncio.Event()
        self._bus = bus
        self._work = work

    async def handle(self, delivery: Delivery) -> None:
        """Work on a delivery; by the rule, every delivery is the first."""
        self.deliveries += 1
        try:
            await self._work(delivery)
        finally:
            self.done.set()

    async def run(self, admin: Client, consumer: Consumer, meanwhile: Callable[[], Awaitable[None]]) -> None:
        """Publish the message, and stop when it is gone."""
        consume(self._bus, consumer, self.handle, 4)
        await self._bus.start()
        await admin.jetstream().publish(SUBJECT, b"{}")
        await meanwhile()
        await self.done.wait()

        async def gone() -> bool:
            return bool((await admin.jetstream().stream_info(consumer.stream)).state.messages == 0)

        await until(gone)
        await self._bus.stop()


async def test_a_long_work_is_done_once(admin: Client, new_bus: NewBus, consumer: Consumer) -> None:
    """A handler that takes three times the ack wait gets no second delivery."""

    async def work(_: Delivery) -> None:
        await until(passed(3 * consumer.ack_wait))

    async def nothing() -> None:
        """Do nothing meanwhile."""

    worker = Working(new_bus("sync-worker"), work)
    await worker.run(admin, consumer, nothing)

    assert worker.deliveries == 1


@pytest.mark.parametrize(
    ("stream", "subject"), [("SYNC_OUTCOMES", OUTCOME), ("DEAD_LETTERS", subjects.dead(SUBJECT))]
)
async def test_a_message_waits_while_something_is_published(
    admin: Client, new_bus: NewBus, consumer: Consumer, stream: str, subject: str
) -> None:
    """While a stream does not confirm an outcome or a dead letter, the request is not redelivered."""
    heard: asyncio.Queue[object] = asyncio.Queue()
    bus = new_bus("sync-worker")

    async def work(_: Delivery) -> None:
        if stream == "DEAD_LETTERS":
            raise Malformed("malformed at $.sync_id")
        await bus.publish(OUTCOME, stream, b"{}", "an outcome", {})

    async def come_back() -> None:
        for _ in range(TRIES):
            await asyncio.wait_for(heard.get(), 10)
        await admin.jetstream().add_stream(STREAM_BY_NAME[stream])

    # With a subscriber on the subject, each try waits for its confirmation instead of ending at once.
    listening = await admin.subscribe(subject, cb=heard.put)
    await admin.jetstream().delete_stream(stream)
    worker = Working(bus, work)
    try:
        await worker.run(admin, consumer, come_back)
    finally:
        await create_streams(admin.jetstream())
        await listening.unsubscribe()

    assert worker.deliveries == 1
    assert (await admin.jetstream().stream_info(stream)).state.messages == 1

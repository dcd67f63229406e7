"""A brake slows the burial of a flood of unreadable messages, and readable ones pass it."""

import asyncio

from nats.aio.client import Client
from structlog.testing import capture_logs

from chassis import metrics
from chassis.bus.brake import ENOUGH, MAX_HOLDS, Brake
from chassis.bus.consume import consume
from chassis.bus.delivery import Delivery
from contracts import subjects
from contracts.wire.envelope import Malformed
from contracts.wire.topology import OUTCOMES_CONSUMER
from tests.chassis.bus.conftest import NewBus
from tests.waiting import until

SUBJECT = subjects.sync_completed("okx")
FLOOD = 1500
READABLE = 100


class Clock:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def braked(pending: int | None = 0, most: int = 512) -> tuple[Brake, Clock]:
    """Return a brake that has seen only unreadable messages."""
    clock = Clock()

    async def ask() -> int | None:
        return pending

    brake = Brake("test", most, ask, clock)
    for _ in range(ENOUGH):
        brake.saw(readable=False)
    return brake, clock


def braking() -> float | None:
    """Return the metric of the outcomes."""
    return metrics.REGISTRY.get_sample_value("butler_dead_letter_brake", {"consumer": OUTCOMES_CONSUMER.name})


async def test_a_few_unreadable_messages_are_buried_at_once() -> None:
    """A single unreadable message is not a flood, nor is one among many readable ones."""
    brake = Brake("test", 512, lambda: asyncio.sleep(0, 0), Clock())
    for _ in range(ENOUGH - 1):
        brake.saw(readable=False)
    assert not await brake.holds(1)

    for _ in range(ENOUGH):
        brake.saw(readable=True)
    assert not await brake.holds(1)


async def test_a_message_is_held_back_a_bounded_number_of_times() -> None:
    """A message that no version reads for minutes is buried in the end."""
    brake, _ = braked()

    assert await brake.holds(MAX_HOLDS)
    assert not await brake.holds(MAX_HOLDS + 1)


async def test_no_more_is_held_back_than_half_of_what_the_server_hands_out() -> None:
    """The other half stays free for readable messages; if the number is unknown, one a second is held."""
    for pending in (512, 600):
        brake, _ = braked(pending)
        assert not await brake.holds(1)

    brake, clock = braked(None)
    assert [await brake.holds(1) for _ in range(2)] == [True, False]
    clock.now += 1
    assert await brake.holds(1)

    brake, _ = braked(pending=0, most=512)
    held = [await brake.holds(1) for _ in range(600)]
    assert 0 < held.count(True) <= 512


async def test_the_brake_is_released_after_a_while() -> None:
    """A past flood does not slow down the next single message, and the log has both events."""
    with capture_logs() as logs:
        brake, clock = braked()
        clock.now = 3600.0
        assert not await brake.holds(1)

    assert [line["event"] for line in logs] == ["dead_letters_braked", "dead_letters_released"]


async def test_readable_messages_are_recorded_while_unreadable_ones_flood(
    admin: Client, new_bus: NewBus
) -> None:
    """Burying slows down, at most half of the unacknowledged messages wait, and readable ones are handled."""
    bus = new_bus("gateway")
    recorded: set[bytes] = set()

    async def handle(delivery: Delivery) -> None:
        if delivery.body.startswith(b"unreadable"):
            raise Malformed("malformed message")
        recorded.add(delivery.body)

    consume(bus, OUTCOMES_CONSUMER, handle, 8)
    stream = admin.jetstream()
    for number in range(FLOOD):
        await stream.publish_async(SUBJECT, b"unreadable %d" % number)
        if number % (FLOOD // READABLE) == 0:
            await stream.publish_async(SUBJECT, b"readable %d" % number)
    await stream.publish_async_completed()
    with capture_logs() as logs:
        await bus.start()
        await until(lambda: asyncio.sleep(0, len(recorded) == READABLE), 60)
        assert braking() == 1
        info = await stream.consumer_info(OUTCOMES_CONSUMER.stream, OUTCOMES_CONSUMER.name)
        letters = (await stream.stream_info("DEAD_LETTERS")).state.messages
        await bus.stop()

    assert 0 < (info.num_ack_pending or 0) <= OUTCOMES_CONSUMER.max_ack_pending // 2
    assert letters < FLOOD
    assert sum(line["event"] == "dead_letters_braked" for line in logs) == 1

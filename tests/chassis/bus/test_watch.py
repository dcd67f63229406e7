"""Consumers are watched: waiting messages are a metric, and a consumer without progress is stuck."""

import math
from collections.abc import Callable

import pytest
from nats.aio.client import Client

from chassis import metrics
from chassis.bus.connection import Bus
from chassis.bus.watch import STUCK_SECONDS, Watch
from chassis.standing import Standing
from contracts import subjects
from contracts.wire.topology import CONSUMERS, OUTCOMES_CONSUMER, sync_worker_consumer

NewBus = Callable[[str], Bus]


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def value(name: str, **labels: str) -> float:
    """Return a metric's value."""
    found = metrics.REGISTRY.get_sample_value(name, labels)
    assert found is not None
    return found


def of_consumer(name: str) -> float:
    """Return a metric of the consumer of outcomes."""
    return value(f"butler_consumer_{name}", consumer=OUTCOMES_CONSUMER.path)


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


def test_a_consumer_stands_still_while_messages_wait(clock: Clock) -> None:
    """The time counts from the first sight of waiting messages, without the time in which there were none."""
    standing = Standing(clock)
    standing.see(7, 0)
    clock.now += 3600
    standing.see(7, 2)
    assert standing.seconds == 0
    clock.now += 100

    standing.see(7, 5)

    assert standing.seconds == 100


@pytest.mark.parametrize(("floor", "waiting"), [(8, 2), (7, 0), (0, 2)], ids=["moved", "empty", "made anew"])
def test_a_consumer_that_moves_does_not_stand_still(clock: Clock, floor: int, waiting: int) -> None:
    """One settled message suffices, even if others still wait."""
    standing = Standing(clock)
    standing.see(7, 2)
    clock.now += 100

    standing.see(floor, waiting)

    assert standing.seconds == 0


async def test_a_consumer_that_nobody_reads_is_stuck(admin: Client, new_bus: NewBus, clock: Clock) -> None:
    """After 150 seconds with waiting messages; when they are settled it is healthy again."""
    bus = new_bus("gateway")
    await bus.start()
    watch = Watch(bus, [OUTCOMES_CONSUMER], monotonic=clock)
    check = watch.checks()[OUTCOMES_CONSUMER.path]
    for _ in range(3):
        await admin.jetstream().publish(subjects.sync_failed("okx"), b"{}")
    reading = await admin.jetstream().pull_subscribe_bind(OUTCOMES_CONSUMER.name, stream="SYNC_OUTCOMES")
    messages = await reading.fetch(2, timeout=5)

    await watch.sample()
    assert (of_consumer("pending"), of_consumer("unacknowledged")) == (1, 2)
    clock.now += STUCK_SECONDS - 1
    await watch.sample()
    assert await check()
    clock.now += 1
    await watch.sample()
    assert not await check()
    assert of_consumer("standing_seconds") == STUCK_SECONDS

    for message in (*messages, *await reading.fetch(1, timeout=5)):
        await message.ack_sync()
    await watch.sample()
    assert await check()
    assert {of_consumer(name) for name in ("pending", "unacknowledged", "standing_seconds")} == {0}
    await bus.stop()


async def test_the_gateway_sees_how_far_the_workers_are(admin: Client, new_bus: NewBus) -> None:
    """Waiting requests are a metric even if no worker runs, and dead letters are counted."""
    bus = new_bus("gateway")
    await bus.start()
    watch = Watch(bus, CONSUMERS)
    for number in range(2):
        await admin.jetstream().publish(subjects.sync_requested("okx"), b"{}")
        await admin.jetstream().publish(subjects.dead(f"somewhere.{number}"), b"?")

    await watch.sample()
    await watch.sample_dead_letters()
    await bus.stop()

    assert value("butler_consumer_pending", consumer=sync_worker_consumer("okx").path) == 2
    assert value("butler_dead_letters") == 2


async def test_a_number_that_can_not_be_had_is_not_an_old_one(admin: Client, new_bus: NewBus) -> None:
    """A deleted consumer has no number; the others have theirs."""
    bus = new_bus("gateway")
    await bus.start()
    watch = Watch(bus, CONSUMERS)
    await watch.sample()
    assert of_consumer("pending") == 0
    await admin.jetstream().delete_consumer(OUTCOMES_CONSUMER.stream, OUTCOMES_CONSUMER.name)

    await watch.sample()
    assert math.isnan(of_consumer("pending"))
    assert value("butler_consumer_pending", consumer=sync_worker_consumer("okx").path) == 0

    await admin.jetstream().add_consumer(OUTCOMES_CONSUMER.stream, OUTCOMES_CONSUMER.config())
    await watch.sample()
    assert of_consumer("pending") == 0
    await bus.stop()


async def test_a_right_that_a_server_does_not_know_yet_costs_that_metric_only(
    new_bus: NewBus, admin: Client, clock: Clock
) -> None:
    """Its configuration is older: the request is denied, and not repeated with every sample."""
    bus, own = new_bus("sync-worker"), sync_worker_consumer("okx")
    await bus.start()
    watch = Watch(bus, [OUTCOMES_CONSUMER, own], monotonic=clock)
    refusals = metrics.REGISTRY.get_sample_value("butler_bus_errors_total", {"error": "Error"}) or 0.0

    for _ in range(3):
        await watch.sample()
        assert math.isnan(of_consumer("pending"))
        assert value("butler_consumer_pending", consumer=own.path) == 0
    await bus.stop()

    assert value("butler_bus_errors_total", error="Error") == refusals + 1

"""A stopped pull loses no message: each one is begun, or another process gets it at once."""

import asyncio
import time
from collections.abc import Callable

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from chassis.bus.connection import Bus
from chassis.bus.consume import consume
from chassis.bus.delivery import Delivery
from chassis.bus.pull import FETCH_SECONDS, Pull
from contracts import subjects
from contracts.wire.topology import sync_worker_consumer
from tests.waiting import until

SUBJECT, CONSUMER = subjects.sync_requested("okx"), sync_worker_consumer("okx")
NewBus = Callable[[str], Bus]
# Far more than a shutdown or a redelivery takes, far less than an ack wait.
SOON = 3.0


async def never(message: Msg) -> None:
    """Fail on a message that must not be delivered."""
    raise AssertionError(message.subject)


async def asked_for(admin: Client, messages: int) -> bool:
    """Return whether the server has requests for so many messages."""
    info = await admin.jetstream().consumer_info(CONSUMER.stream, CONSUMER.name)
    return bool(info.num_waiting == messages)


@pytest.mark.parametrize("turns", range(0, 60, 3))
async def test_a_stop_at_any_moment_loses_nothing(admin: Client, new_bus: NewBus, turns: int) -> None:
    """At any turn of the loop after a message was sent: it is handled, or another gets it at once."""
    bus, handled = new_bus("sync-worker"), asyncio.Queue[bytes]()

    async def handle(delivery: Delivery) -> None:
        handled.put_nowait(delivery.body)

    consume(bus, CONSUMER, handle, 4)
    await bus.start()
    await admin.publish(SUBJECT, b"{}")
    for _ in range(turns):
        await asyncio.sleep(0)
    await asyncio.wait_for(bus.stop(), SOON)

    if handled.empty():
        successor = await admin.jetstream().pull_subscribe_bind(CONSUMER.name, CONSUMER.stream)
        (message,) = await successor.fetch(1, timeout=SOON)
        await message.ack_sync()
    assert (await admin.jetstream().stream_info(CONSUMER.stream)).state.messages == 0


async def test_what_comes_when_nobody_asks_is_given_back(admin: Client, new_bus: NewBus) -> None:
    """A message that arrives after its fetch has ended goes to another process without delay."""
    bus = new_bus("sync-worker")
    await bus.start()
    await admin.jetstream().publish(SUBJECT, b"{}")
    pulling = await bus.client.jetstream().pull_subscribe_bind(CONSUMER.name, CONSUMER.stream)
    await bus.client.publish(pulling._nms, b'{"batch":1}', reply=pulling._deliver)
    await until(lambda: asyncio.sleep(0, pulling.pending_msgs == 1), SOON)

    await Pull(CONSUMER, never, 1)._give_back_late(pulling)
    await pulling.unsubscribe()
    await bus.stop()
    successor = await admin.jetstream().pull_subscribe_bind(CONSUMER.name, CONSUMER.stream)
    (message,) = await successor.fetch(1, timeout=SOON)

    assert message.metadata.num_delivered == 2
    await message.ack()


async def test_a_stop_gives_back_what_no_fetch_has_taken(admin: Client, new_bus: NewBus) -> None:
    """Two messages came while the loop rests, as after the end of a fetch: another gets both at once."""
    bus = new_bus("sync-worker")
    await bus.start()
    pull = Pull(CONSUMER, never, 1, lambda: False)
    pulling = asyncio.create_task(pull.run(bus.client))
    await until(lambda: asyncio.sleep(0, pull._resting is not None), SOON)
    (inbox,) = [each.subject for each in bus.client._subs.values() if each._cb is None]
    asking = f"$JS.API.CONSUMER.MSG.NEXT.{CONSUMER.stream}.{CONSUMER.name}"
    await bus.client.publish(asking, b'{"batch":2}', reply=inbox)
    for body in (b"one", b"two"):
        await admin.jetstream().publish(SUBJECT, body)
    await bus.client.flush()
    pull.stop()
    await asyncio.wait({pulling}, timeout=SOON)
    successor = await admin.jetstream().pull_subscribe_bind(CONSUMER.name, CONSUMER.stream)
    messages = [(await successor.fetch(1, timeout=SOON))[0] for _ in range(2)]

    assert {(message.data, message.metadata.num_delivered) for message in messages} == {
        (b"one", 2),
        (b"two", 2),
    }
    for message in messages:
        await message.ack_sync()
    await bus.stop()


async def test_a_loop_that_hangs_is_not_ready(new_bus: NewBus, admin: Client) -> None:
    """A slot that the loop itself uses does not make it look busy."""
    bus = new_bus("sync-worker")
    await bus.start()
    pull = Pull(CONSUMER, never, 1)
    pulling = asyncio.create_task(pull.run(bus.client))

    await until(lambda: asked_for(admin, 1), SOON)
    assert await pull.ready(bus.client)
    pull._turned -= 60

    assert not await pull.ready(bus.client)
    pull.stop()
    await asyncio.wait({pulling})
    await bus.stop()


async def test_a_backlog_is_asked_for_together_and_never_beyond_the_places(
    admin: Client, new_bus: NewBus
) -> None:
    """Many messages take fewer requests, and at most as many as there are slots are begun at once."""
    bus, handled, begun, most, requests = new_bus("sync-worker"), set[bytes](), 0, 0, 0

    async def handle(delivery: Delivery) -> None:
        nonlocal begun, most
        begun, most = begun + 1, max(most, begun + 1)
        await asyncio.sleep(0)
        begun -= 1
        handled.add(delivery.body)

    async def count(_: Msg) -> None:
        nonlocal requests
        requests += 1

    await admin.subscribe(f"$JS.API.CONSUMER.MSG.NEXT.{CONSUMER.stream}.{CONSUMER.name}", cb=count)
    for number in range(400):
        await admin.jetstream().publish_async(SUBJECT, b"%d" % number)
    await admin.jetstream().publish_async_completed()
    consume(bus, CONSUMER, handle, 8)
    await bus.start()
    await until(lambda: asyncio.sleep(0, len(handled) == 400))
    await bus.stop()

    assert most <= 8
    assert requests < 400
    assert (await admin.jetstream().stream_info(CONSUMER.stream)).state.messages == 0


async def test_a_process_that_stood_still_handles_what_came_meanwhile(admin: Client, new_bus: NewBus) -> None:
    """Messages of a backlog that arrive after their fetch has ended are delivered once."""
    bus, deliveries = new_bus("sync-worker"), list[tuple[bytes, int]]()

    async def handle(message: Msg) -> None:
        if not deliveries:
            time.sleep(FETCH_SECONDS + 0.3)  # noqa: ASYNC251 - the whole process stands still
        deliveries.append((message.data, message.metadata.num_delivered))
        await message.ack()

    for number in range(100):
        await admin.jetstream().publish(SUBJECT, b"%d" % number)
    await bus.start()
    pull = Pull(CONSUMER, handle, 64)
    pulling = asyncio.create_task(pull.run(bus.client))
    await until(lambda: asyncio.sleep(0, len(deliveries) == 100))
    pull.stop()
    await asyncio.wait({pulling}, timeout=SOON)
    await bus.stop()

    assert {attempt for _, attempt in deliveries} == {1}


async def test_a_stop_in_the_middle_of_a_backlog_loses_nothing(admin: Client, new_bus: NewBus) -> None:
    """Another process gets the messages not yet begun within seconds, long before the ack wait."""
    bus, handled = new_bus("sync-worker"), set[bytes]()

    async def handle(delivery: Delivery) -> None:
        handled.add(delivery.body)

    for number in range(300):
        await admin.jetstream().publish_async(SUBJECT, b"%d" % number)
    await admin.jetstream().publish_async_completed()
    consume(bus, CONSUMER, handle, 64)
    await bus.start()
    await until(lambda: asyncio.sleep(0, len(handled) > 20))
    await bus.stop()
    before = len(handled)
    successor = new_bus("sync-worker")
    consume(successor, CONSUMER, handle, 64)
    await successor.start()
    await until(lambda: asyncio.sleep(0, len(handled) == 300), 4 * SOON)
    await successor.stop()

    assert before < 300
    assert (await admin.jetstream().stream_info(CONSUMER.stream)).state.messages == 0

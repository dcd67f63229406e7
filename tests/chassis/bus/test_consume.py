"""A delivery ends in exactly one of ack, a later retry, or the dead letters."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Self
from uuid import uuid4

import pytest
from nats.aio.client import Client

from chassis.bus.connection import Bus, BusUnavailable
from chassis.bus.consume import consume
from chassis.bus.delivery import Delivery, RetryLater
from contracts import subjects
from contracts.credentials import AskKeys, KeysReply
from contracts.faults import Code
from contracts.wire.envelope import Malformed
from contracts.wire.topology import sync_worker_consumer
from tests.waiting import until

SUBJECT = subjects.sync_requested("okx")
CONSUMER = sync_worker_consumer("okx")
NewBus = Callable[[str], Bus]


class Consuming:
    """A worker whose handler the test sets, and that keeps its deliveries."""

    def __init__(
        self,
        bus: Bus,
        *answers: Exception | None,
        unburied: int = 0,
        broken: int = 0,
        lasting: bool = True,
    ) -> None:
        self.bus = bus
        self._lasting = lasting
        self.handed: asyncio.Queue[tuple[float, Delivery]] = asyncio.Queue()
        self.buried: list[Delivery] = []
        self._answers = list(answers)
        self._unburied = unburied
        self._broken = broken

    async def __aenter__(self) -> Self:
        consume(self.bus, CONSUMER, self._handle, 4, self._bury, lasting=self._lasting)
        await self.bus.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.bus.stop()

    async def next(self) -> tuple[float, Delivery]:
        """Return the next delivery and its time."""
        return await asyncio.wait_for(self.handed.get(), 20)

    async def _bury(self, delivery: Delivery) -> None:
        self.buried.append(delivery)
        if len(self.buried) <= self._unburied:
            raise RetryLater(0.1, "the database is away")
        if len(self.buried) <= self._broken:
            raise RuntimeError("a bug")

    async def _handle(self, delivery: Delivery) -> None:
        await self.handed.put((time.monotonic(), delivery))
        answer = self._answers.pop(0) if self._answers else None
        if answer is not None:
            raise answer


def left_in(admin: Client, stream: str) -> Callable[[int], Awaitable[bool]]:
    """Return a check of the number of messages in a stream."""

    async def holds(count: int) -> bool:
        return bool((await admin.jetstream().stream_info(stream)).state.messages == count)

    return holds


async def test_what_the_next_message_replaces_becomes_no_dead_letter(admin: Client, new_bus: NewBus) -> None:
    """Readings of prices are large, and one comes each minute: they would push other letters out."""
    async with Consuming(new_bus("sync-worker"), Malformed("bad"), lasting=False) as worker:
        await admin.jetstream().publish(SUBJECT, b"{}")

        await until(lambda: left_in(admin, "SYNC_REQUESTS")(0))

    assert await left_in(admin, "DEAD_LETTERS")(0)
    assert worker.buried == []


async def test_a_handled_message_is_gone(admin: Client, new_bus: NewBus) -> None:
    """When a handler returns, the message is acknowledged and deleted from the queue."""
    async with Consuming(new_bus("sync-worker")) as worker:
        await admin.jetstream().publish(SUBJECT, b"{}")

        _, delivery = await worker.next()

        assert (delivery.body, delivery.attempt) == (b"{}", 1)
        await until(lambda: left_in(admin, "SYNC_REQUESTS")(0))


async def test_a_retry_comes_after_its_delay_and_counts(admin: Client, new_bus: NewBus) -> None:
    """RetryLater redelivers the message once, not before the delay, as the next attempt."""
    async with Consuming(new_bus("sync-worker"), RetryLater(0.5, "not yet")) as worker:
        await admin.jetstream().publish(SUBJECT, b"{}")

        first, _ = await worker.next()
        second, delivery = await worker.next()

        assert second - first >= 0.5
        assert delivery.attempt == 2
        await until(lambda: left_in(admin, "SYNC_REQUESTS")(0))


async def test_what_nobody_can_read_is_a_dead_letter(admin: Client, new_bus: NewBus) -> None:
    """Malformed deletes the message at once and keeps it with the reason for the operator."""
    async with Consuming(new_bus("sync-worker"), Malformed("malformed at $.sync_id")):
        await admin.jetstream().publish(SUBJECT, b"garbage")

        await until(lambda: left_in(admin, "DEAD_LETTERS")(1))
        await until(lambda: left_in(admin, "SYNC_REQUESTS")(0))

    letter = await admin.jetstream().get_last_msg("DEAD_LETTERS", subjects.dead(SUBJECT))
    assert letter.data == b"garbage"
    assert (letter.headers or {})["butler-reason"] == "malformed at $.sync_id"


async def test_an_unexpected_error_loses_nothing(admin: Client, new_bus: NewBus) -> None:
    """A fault of ours leaves the message in the queue for redelivery."""
    async with Consuming(new_bus("sync-worker"), RuntimeError("a bug")) as worker:
        await admin.jetstream().publish(SUBJECT, b"{}")
        await worker.next()

        async def waits() -> bool:
            consumer = await admin.jetstream().consumer_info(CONSUMER.stream, CONSUMER.name)
            return bool(consumer.num_ack_pending == 1)

        await until(waits)
        assert await left_in(admin, "SYNC_REQUESTS")(1)


async def test_an_error_of_our_own_is_tried_again_five_times_and_then_buried(
    admin: Client, new_bus: NewBus
) -> None:
    """A message whose handling always fails is not redelivered for ever, and outages do not count."""
    outages = [RetryLater(0.1, "the database is away"), BusUnavailable("a stream is away")]
    errors = [RuntimeError("a bug"), *outages, *[RuntimeError("a bug")] * 5]
    async with Consuming(new_bus("sync-worker"), *errors) as worker:
        await admin.jetstream().publish(SUBJECT, b"poison")
        deliveries = [(await worker.next())[1] for _ in errors]

        await until(lambda: left_in(admin, "DEAD_LETTERS")(1))
        await until(lambda: left_in(admin, "SYNC_REQUESTS")(0))
        assert worker.handed.empty()

    assert [delivery.attempt for delivery in deliveries] == list(range(1, 9))
    assert [delivery.body for delivery in worker.buried] == [b"poison"]
    letter = await admin.jetstream().get_last_msg("DEAD_LETTERS", subjects.dead(SUBJECT))
    assert (letter.headers or {})["butler-reason"] == "unexpected error: RuntimeError"


async def test_a_dead_letter_carries_its_attributes_and_the_reason_alone(
    admin: Client, new_bus: NewBus
) -> None:
    """A header that the stream would act on, or that breaks the head, cannot prevent the burial."""
    hostile = {
        "Nats-Expected-Stream": "SYNC_REQUESTS",
        "ce-id": "1",
        "ce-type": "butler.SyncRequested",
        "ce-source": "x" * 5000,
        "ce-subject": "grüße",
        "ce-UPPER": "1",
        "authorization": "canary",
    }
    async with Consuming(new_bus("sync-worker"), Malformed("malformed message")):
        await admin.publish(SUBJECT, b"garbage", headers=hostile)
        await until(lambda: left_in(admin, "DEAD_LETTERS")(1))

    letter = await admin.jetstream().get_last_msg("DEAD_LETTERS", subjects.dead(SUBJECT))
    publishing = {"Nats-Msg-Id", "Nats-Expected-Stream"}
    kept = {name: value for name, value in (letter.headers or {}).items() if name not in publishing}
    assert kept == {"ce-id": "1", "ce-type": "butler.SyncRequested", "butler-reason": "malformed message"}


async def test_a_message_is_not_buried_before_what_follows_from_it_is_done(
    admin: Client, new_bus: NewBus
) -> None:
    """While the callback of the burial fails, the message stays; then it is buried once."""
    async with Consuming(
        new_bus("sync-worker"), Malformed("malformed"), Malformed("malformed"), unburied=1
    ) as worker:
        await admin.jetstream().publish(SUBJECT, b"garbage")
        await until(lambda: left_in(admin, "SYNC_REQUESTS")(0))

    assert len(worker.buried) == 2
    assert await left_in(admin, "DEAD_LETTERS")(1)


async def test_a_burial_that_can_not_be_told_stops_nothing(admin: Client, new_bus: NewBus) -> None:
    """An unexpected error in the callback of a burial is retried, and the message does not hang."""
    async with Consuming(new_bus("sync-worker"), *[Malformed("malformed")] * 2, broken=1) as worker:
        await admin.jetstream().publish(SUBJECT, b"garbage")
        await until(lambda: left_in(admin, "SYNC_REQUESTS")(0))

    assert len(worker.buried) == 2
    assert await left_in(admin, "DEAD_LETTERS")(1)


async def test_a_message_published_twice_is_one(admin: Client, new_bus: NewBus) -> None:
    """The same message id is confirmed with the same sequence number and stored once."""
    bus, message_id = new_bus("gateway"), str(uuid4())
    await bus.start()

    places = [await bus.publish(SUBJECT, "SYNC_REQUESTS", b"{}", message_id, {}) for _ in range(2)]
    await bus.stop()

    assert places[0] == places[1]
    assert await left_in(admin, "SYNC_REQUESTS")(1)


async def test_a_question_that_nobody_hears_has_an_answer(new_bus: NewBus) -> None:
    """Without a responder, the caller gets an error at once, with the code that it chose."""
    bus = new_bus("gateway")
    await bus.start()

    with pytest.raises(BusUnavailable) as caught:
        await bus.request(subjects.KEYS, AskKeys(), KeysReply, 5, Code.SIGNING_UNAVAILABLE)
    await bus.stop()

    assert caught.value.code == Code.SIGNING_UNAVAILABLE

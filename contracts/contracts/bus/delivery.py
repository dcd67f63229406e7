"""Consuming a stream, where each delivery ends in exactly one of ack, nak with a delay, or a dead letter."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import structlog
from faststream import AckPolicy
from faststream.nats.message import NatsMessage
from nats.aio.msg import Msg
from nats.errors import Error

from contracts import subjects
from contracts.bus.connect import MESSAGE_ID, Bus, BusUnavailable
from contracts.bus.envelope import Malformed
from contracts.bus.pulling import Pull
from contracts.bus.topology import Consumer
from contracts.operations import metrics

ACK_TIMEOUT = 2.0
UNEXPECTED_DELAY = 10.0
MAX_DELAY = 60.0

log = structlog.get_logger()


class Delivery(msgspec.Struct, frozen=True):
    """One delivery of a message: its raw body and how often it was delivered, this time included."""

    subject: str
    body: bytes
    attempt: int
    headers: dict[str, str]

    @property
    def message_id(self) -> str:
        """Give the id of the message, which each publication has of its own; empty where there is none."""
        return self.headers.get(MESSAGE_ID, "")


class RetryLater(Exception):
    """The delivery could not be carried out now; the message comes again after `delay` seconds."""

    def __init__(self, delay: float, reason: str) -> None:
        super().__init__(reason)
        self.delay = min(delay, MAX_DELAY)


Handler = Callable[[Delivery], Awaitable[None]]


def consume(bus: Bus, consumer: Consumer, handler: Handler, concurrency: int) -> None:
    """Declare that every message of a durable consumer goes to a handler, so many of them at a time.

    A handler that returns has the message acknowledged. RetryLater and unexpected errors bring it back after
    a delay; Malformed puts it into the dead letters.
    """

    async def on_message(raw: Msg) -> None:
        outcome = "unsettled"
        try:
            async with _in_progress(raw, consumer.ack_wait):
                outcome = await _settle(bus, handler, raw)
        except Error as error:
            log.warning("settling_failed", consumer=consumer.name, error=type(error).__name__)
        metrics.DELIVERIES.labels(consumer.name, outcome).inc()

    bus.pulls.append(Pull(consumer, on_message, concurrency, bus.inbox_prefix))


def listen(bus: Bus, subject: str, handler: Callable[[str], Awaitable[None]]) -> None:
    """Declare a subscriber for announcements, which may be lost; the handler gets the subject of each."""
    subscriber: Any = bus.broker.subscriber(subject, ack_policy=AckPolicy.MANUAL, no_reply=True)

    async def on_announcement(message: NatsMessage) -> None:
        await handler(message.raw_message.subject)

    subscriber(on_announcement)


async def _settle(bus: Bus, handler: Handler, raw: Msg) -> str:
    """Run the handler and tell the server how it ended."""
    attempt = raw.metadata.num_delivered
    try:
        await handler(Delivery(raw.subject, raw.data, attempt, raw.headers or {}))
    except RetryLater as later:
        await raw.nak(delay=later.delay)
        return "retried"
    except Malformed as error:
        return await _bury(bus, raw, str(error))
    except Exception:
        log.exception("handler_failed", subject=raw.subject, attempt=attempt)
        await raw.nak(delay=UNEXPECTED_DELAY)
        return "failed"
    await raw.ack_sync(timeout=ACK_TIMEOUT)
    return "done"


async def _bury(bus: Bus, raw: Msg, reason: str) -> str:
    """Keep an unreadable message for the operator and take it out of the stream."""
    message_id = f"{raw.metadata.stream}:{raw.metadata.sequence.stream}"
    headers = {**(raw.headers or {}), "butler-reason": reason}
    try:
        await bus.publish(subjects.dead(raw.subject), "DEAD_LETTERS", raw.data, message_id, headers)
    except BusUnavailable:
        await raw.nak(delay=UNEXPECTED_DELAY)
        return "failed"
    log.error("dead_letter", subject=raw.subject, reason=reason)
    await raw.term()
    return "dead"


@asynccontextmanager
async def _in_progress(raw: Msg, ack_wait: float) -> Any:
    """Tell the server every third of the ack wait that the message is being worked on."""

    async def report() -> None:
        while True:
            await asyncio.sleep(ack_wait / 3)
            with suppress(Error):
                await raw.in_progress()

    reporting = asyncio.create_task(report())
    try:
        yield
    finally:
        reporting.cancel()

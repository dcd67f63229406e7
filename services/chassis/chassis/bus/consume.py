"""Consumers of streams: each delivery ends in exactly one of ack, nak with a delay, or a dead letter."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from typing import Any

import structlog
from faststream import AckPolicy
from faststream.nats.message import NatsMessage
from nats.aio.msg import Msg
from nats.errors import Error

from chassis import metrics, tracing
from chassis.bus.brake import HOLD_SECONDS, Brake
from chassis.bus.connection import Bus, BusUnavailable
from chassis.bus.delivery import Delivery, RetryLater
from chassis.bus.inspection import consumer_standing
from chassis.bus.pull import Pull
from contracts import subjects
from contracts.wire.envelope import Malformed
from contracts.wire.topology import Consumer

ACK_TIMEOUT = 2.0
UNBURIED_DELAY = 10.0
BUS_AWAY_DELAY = 5.0
# An unexpected error is a bug of ours: the message is retried after 1, 2, 4, 8 and 16 seconds.
MAX_RETRIES = 5
CE_HEADER = re.compile(r"ce-[a-z0-9]{1,32}", re.ASCII)
CE_VALUE = re.compile(r"[!-~]([ -~]{0,254}[!-~])?", re.ASCII)
MAX_CE_HEADERS = 16

log = structlog.get_logger()


Handler = Callable[[Delivery], Awaitable[None]]


def consume(  # noqa: PLR0913 - a consumer, and what becomes of its messages
    bus: Bus,
    consumer: Consumer,
    handler: Handler,
    concurrency: int,
    buried: Handler | None = None,
    *,
    lasting: bool = True,
) -> None:
    """Declare a handler for every message of a durable consumer; `concurrency` is the number of slots.

    When the handler returns, the message is acknowledged. After RetryLater it is redelivered with a delay,
    and after an unexpected error five times. After that, and if it is Malformed, the message becomes a dead
    letter, and `buried` is called before the message leaves the stream. A message that is not `lasting`,
    because a later one replaces it, is dropped instead.
    """
    consuming = _Consuming(bus, consumer, handler, buried, lasting=lasting)
    pull = Pull(consumer, consuming.on_message, concurrency, bus.takes)
    bus.pulls.append(pull)


def listen(bus: Bus, subject: str, handler: Callable[[str, bytes], Awaitable[None]]) -> None:
    """Declare a subscriber for announcements, which may be lost; the handler gets subject and body."""
    subscriber: Any = bus.broker.subscriber(subject, ack_policy=AckPolicy.MANUAL, no_reply=True)

    async def on_announcement(message: NatsMessage) -> None:
        await handler(message.raw_message.subject, message.raw_message.data)

    subscriber(on_announcement)


class _Consuming:
    """Handles, retries and buries the messages of one consumer."""

    def __init__(
        self, bus: Bus, consumer: Consumer, handler: Handler, buried: Handler | None, *, lasting: bool
    ) -> None:
        self._lasting = lasting
        self._bus = bus
        self._consumer = consumer
        self._handler = handler
        self._buried = buried
        self._brake = Brake(consumer.name, consumer.max_ack_pending // 2, self._unacknowledged)
        self._failures: OrderedDict[int, int] = OrderedDict()

    async def on_message(self, raw: Msg) -> None:
        """Handle one delivery and count its result."""
        outcome = "unsettled"
        try:
            async with _in_progress(raw, self._consumer.ack_wait):
                with _span(raw, self._consumer) as span:
                    outcome = await self._settle(raw)
                    span.say(outcome=outcome)
        except Error as error:
            log.warning("settling_failed", consumer=self._consumer.name, error=type(error).__name__)
        except Exception:
            # The server redelivers the message after the ack wait; the consumer goes on.
            log.exception("delivery_not_settled", consumer=self._consumer.name)
        metrics.DELIVERIES.labels(self._consumer.name, outcome).inc()

    async def _settle(self, raw: Msg) -> str:
        """Run the handler and report its result to the server."""
        try:
            await self._handler(_delivery(raw))
        except RetryLater as later:
            await raw.nak(delay=later.delay)
            return "retried"
        except BusUnavailable as error:
            log.warning("bus_away", consumer=self._consumer.name, reason=str(error))
            await raw.nak(delay=BUS_AWAY_DELAY)
            return "retried"
        except Malformed as error:
            return await self._unreadable(raw, str(error))
        except Exception as error:
            log.exception("handler_failed", subject=raw.subject, attempt=raw.metadata.num_delivered)
            return await self._unexpected(raw, type(error).__name__)
        self._failures.pop(raw.metadata.sequence.stream, None)
        self._brake.saw(readable=True)
        await raw.ack_sync(timeout=ACK_TIMEOUT)
        return "done"

    async def _unreadable(self, raw: Msg, reason: str) -> str:
        """Bury an unreadable message, or hold it for a later version while most messages are unreadable."""
        self._brake.saw(readable=False)
        if await self._brake.holds(raw.metadata.num_delivered):
            await raw.nak(delay=HOLD_SECONDS)
            return "held"
        return await self._bury(raw, reason)

    async def _unexpected(self, raw: Msg, error: str) -> str:
        """Retry a message after a bug of ours five times, with growing delays, then bury it."""
        failures = self._count_failure(raw.metadata.sequence.stream)
        if failures == 1 or (failures <= MAX_RETRIES and await self._brake.has_room()):
            await raw.nak(delay=float(2 ** (failures - 1)))
            return "failed"
        return await self._bury(raw, f"unexpected error: {error}")

    async def _bury(self, raw: Msg, reason: str) -> str:
        """Store a message as a dead letter, or drop one that does not last; remove it from the stream."""
        if not self._lasting:
            return await self._drop(raw, reason)
        try:
            await self._tell_buried(raw)
            message_id = f"{raw.metadata.stream}:{raw.metadata.sequence.stream}"
            subject, headers = subjects.dead(raw.subject), _letter_headers(raw, reason)
            await self._bus.publish(subject, "DEAD_LETTERS", raw.data, message_id, headers)
        except BusUnavailable:
            await raw.nak(delay=UNBURIED_DELAY)
            return "failed"
        except RetryLater as later:
            await raw.nak(delay=later.delay)
            return "failed"
        log.error("dead_letter", subject=raw.subject, reason=reason)
        self._failures.pop(raw.metadata.sequence.stream, None)
        await raw.term()
        return "dead"

    async def _drop(self, raw: Msg, reason: str) -> str:
        log.error("message_dropped", subject=raw.subject, reason=reason)
        self._failures.pop(raw.metadata.sequence.stream, None)
        await raw.ack_sync(timeout=ACK_TIMEOUT)
        return "dropped"

    async def _tell_buried(self, raw: Msg) -> None:
        """Call `buried`; retry after an unexpected error like one of the handler, then ignore it.

        Raises RetryLater.
        """
        if self._buried is None:
            return
        try:
            await self._buried(_delivery(raw))
        except (BusUnavailable, RetryLater):
            raise
        except Exception as error:
            log.exception("burial_not_told", subject=raw.subject)
            failures = self._count_failure(raw.metadata.sequence.stream)
            if failures <= 2 * MAX_RETRIES:
                raise RetryLater(UNBURIED_DELAY / 2, type(error).__name__) from None

    def _count_failure(self, sequence: int) -> int:
        """Return the number of unexpected errors of a message; another process starts its own count."""
        count = self._failures[sequence] = self._failures.pop(sequence, 0) + 1
        if len(self._failures) > self._consumer.max_ack_pending:
            self._failures.popitem(last=False)
        return count

    async def _unacknowledged(self) -> int | None:
        """Return the number of messages that wait for their ack; None if the server does not answer."""
        try:
            return (await consumer_standing(self._bus, self._consumer)).num_ack_pending
        except BusUnavailable:
            return None


def _delivery(raw: Msg) -> Delivery:
    metadata = raw.metadata
    return Delivery(raw.subject, raw.data, metadata.num_delivered, raw.headers or {}, metadata.timestamp)


def _span(raw: Msg, consumer: Consumer) -> AbstractContextManager[tracing.Span]:
    """Trace a delivery: the first one as a child of the span that sent the message, a later one with a link.

    As children, the deliveries of one message would look like one piece of work in the trace.
    """
    sent_by, attempt = tracing.sender(raw.headers), raw.metadata.num_delivered
    first = attempt == 1
    return tracing.span(
        f"process {consumer.path}",
        tracing.Kind.CONSUMER,
        parent=sent_by if first else None,
        link=None if first else sent_by,
        consumer=consumer.name,
        stream=consumer.stream,
        attempt=attempt,
    )


def _letter_headers(raw: Msg, reason: str) -> dict[str, str]:
    """Return the headers of a dead letter: the CloudEvents attributes of the message, and the reason.

    Another header could make the stream refuse the letter, and an unchecked value could corrupt its headers.
    """
    said = {name: value for name, value in (raw.headers or {}).items() if CE_HEADER.fullmatch(name)}
    kept = {name: value for name, value in said.items() if CE_VALUE.fullmatch(value)}
    return {**dict(list(kept.items())[:MAX_CE_HEADERS]), "butler-reason": reason}


@asynccontextmanager
async def _in_progress(raw: Msg, ack_wait: float) -> Any:
    """Report to the server every third of the ack wait that the message is in progress."""

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

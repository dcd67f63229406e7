"""Replies to requests: always a message, and only to an inbox of the role that the subject proves."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog
from faststream import AckPolicy
from faststream.nats.message import NatsMessage

from chassis import metrics, tracing
from chassis.bus.connection import Bus
from contracts import subjects
from contracts.credentials import Refused
from contracts.faults import Code, Failure
from contracts.wire.envelope import Malformed, attributes, encode

log = structlog.get_logger()

Responder = Callable[[bytes], Awaitable[msgspec.Struct]]


def respond(bus: Bus, subject: str, queue: str, responder: Responder, concurrency: int) -> None:
    """Declare a subscriber that replies to every request on a subject with the responder's result.

    The third token of the subject is the caller's role. The server does not restrict the subject of a reply,
    so we send it only to that role's inbox, or to the server's reply subject for another account.
    """
    accepted = (subjects.inbox_prefix(subject.split(".")[2]), subjects.OTHER_ACCOUNT)
    subscriber: Any = bus.broker.subscriber(
        subject, queue, ack_policy=AckPolicy.MANUAL, max_workers=concurrency, no_reply=True
    )

    async def on_request(message: NatsMessage) -> None:
        raw = message.raw_message
        if not raw.reply.startswith(accepted):
            metrics.REPLIES.labels(subject, "reflected").inc()
            log.error("reply_outside_inbox", subject=subject)
            return
        started = time.monotonic()
        caller = tracing.sender(raw.headers)
        with tracing.span(f"answer {subject}", tracing.Kind.SERVER, parent=caller, subject=subject) as span:
            reply = await _answer(responder, raw.data)
            if isinstance(reply, Refused):
                span.fail(tracing.known_code(reply.code))
        await bus.client.publish(raw.reply, encode(reply), headers=attributes(reply, bus.service))
        kind = type(reply).__name__.lower()
        metrics.REPLIES.labels(subject, kind).inc()
        log.debug("answered", subject=subject, reply=kind, seconds=round(time.monotonic() - started, 4))

    subscriber(on_request)


async def _answer(responder: Responder, body: bytes) -> msgspec.Struct:
    """Run the responder and turn any error into a refusal."""
    try:
        return await responder(body)
    except Malformed as error:
        return Refused(Code.INVALID_REQUEST, str(error))
    except Failure as failure:
        return Refused(
            failure.code, failure.detail, failure.retry_after, failure.exchange_code, failure.endpoint
        )
    except Exception:
        log.exception("responder_failed")
        return Refused(Code.INTERNAL_ERROR)

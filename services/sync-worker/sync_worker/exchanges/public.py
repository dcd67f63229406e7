"""Read a public list without a signature: sent, timed and counted like other reads."""

import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from chassis import metrics, tracing
from contracts.credentials import SignedRead
from contracts.exchanges.types import PublicRead
from contracts.faults import Failure
from sync_worker.exchanges.http import Answer, Https
from sync_worker.exchanges.signed import Parts

Parsed = TypeVar("Parsed")


class Source(msgspec.Struct, frozen=True):
    """A server with public lists: its name in metrics, and its origin."""

    key: str
    origin: str


async def read_public(
    parts: Parts, source: Source, read: PublicRead, parse: Callable[[Answer], Parsed], seconds: float
) -> Parsed:
    """Send a public read in its turn, and return its response as `parse` reads it.

    Raises Failure, also the Failure of `parse`.
    """
    async with parts.governor.call(source.key, read.name, seconds) as call:
        return await _read(parts.https, source, read, parse, call.seconds)


async def _read(
    https: Https, source: Source, read: PublicRead, parse: Callable[[Answer], Parsed], seconds: float
) -> Parsed:
    started, result = time.monotonic(), "cancelled"
    host = urlsplit(source.origin).hostname or ""
    try:
        with tracing.span(
            f"read {read.name}", tracing.Kind.CLIENT, exchange=source.key, read=read.name, host=host
        ) as span:
            answer = await https.send(source.origin, SignedRead(read.name, "GET", read.target, {}), seconds)
            span.say(http_status=answer.status)
            parsed = parse(answer)
        result = "answered"
        return parsed
    except Failure as fault:
        result = fault.code
        raise
    finally:
        took = time.monotonic() - started
        metrics.EXCHANGE_CALLS.labels(source.key, read.name, str(result)).observe(took)

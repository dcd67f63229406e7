"""The state of a stream and a consumer, as far as the rights of the service allow to ask the server."""

from datetime import datetime, timedelta
from typing import TypeVar

import msgspec
from nats.errors import Error

from chassis.bus.connection import Bus, BusUnavailable
from contracts.wire.envelope import Malformed, decode
from contracts.wire.topology import Consumer

INFO_SECONDS = 1.0


class NotGranted(Exception):
    """The server denies this request, for example because its configuration was not updated yet."""


class _Told(msgspec.Struct, frozen=True):
    """The fields of every reply: times by the server's clock."""

    created: datetime
    ts: datetime

    @property
    def age(self) -> timedelta:
        """Return the age of the stream or consumer; negative after the server's clock was set back."""
        return self.ts - self.created


class Extent(msgspec.Struct, frozen=True):
    """The first and last sequence number of a stream; if it is empty, the last is below the first, or 0."""

    first_seq: int
    last_seq: int


class StreamStanding(_Told, frozen=True):
    """The state of a stream."""

    state: Extent


class AckFloor(msgspec.Struct, frozen=True):
    """Every message up to this sequence number of the stream has been settled."""

    stream_seq: int


class ConsumerStanding(_Told, frozen=True):
    """The state of a consumer; `num_pending` messages are undelivered, `num_ack_pending` are not settled."""

    ack_floor: AckFloor
    num_pending: int
    num_ack_pending: int

    @property
    def drained(self) -> bool:
        """Return whether every message of the stream has been settled."""
        return self.num_pending == self.num_ack_pending == 0


Standing = TypeVar("Standing", StreamStanding, ConsumerStanding)


async def stream_standing(bus: Bus, stream: str) -> StreamStanding:
    """Return the state of a stream; raises NotGranted, and BusUnavailable also for an unknown stream."""
    return await _ask(bus, f"$JS.API.STREAM.INFO.{stream}", StreamStanding)


async def consumer_standing(bus: Bus, consumer: Consumer) -> ConsumerStanding:
    """Return the state of a consumer; raises NotGranted, and BusUnavailable also for an unknown consumer."""
    return await _ask(bus, f"$JS.API.CONSUMER.INFO.{consumer.stream}.{consumer.name}", ConsumerStanding)


async def _ask(bus: Bus, subject: str, kind: type[Standing]) -> Standing:
    if not await bus.ready():
        raise BusUnavailable("The bus is not connected.")
    bus.refused.discard(subject.lower())
    try:
        answer = await bus.client.request(subject, timeout=INFO_SECONDS)
        standing: Standing = decode(answer.data, kind)
    except (Error, AssertionError, Malformed) as error:
        # The server denies a request without a reply: it sends a separate error, and the request times out.
        if subject.lower() in bus.refused:
            raise NotGranted(subject) from None
        raise BusUnavailable(f"The server did not say how {subject} is ({type(error).__name__}).") from None
    return standing

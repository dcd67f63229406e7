"""Asking the server where a stream and a consumer stand; what the topology does not grant is refused."""

from datetime import datetime, timedelta
from typing import TypeVar

import msgspec
from nats.errors import Error

from chassis.bus.connection import Bus, BusUnavailable
from contracts.wire.envelope import Malformed, decode
from contracts.wire.topology import Consumer

INFO_SECONDS = 1.0


class NotGranted(Exception):
    """The server does not let this service ask, as before its configuration was updated."""


class _Told(msgspec.Struct, frozen=True):
    """What every answer has: times by the server's clock."""

    created: datetime
    ts: datetime

    @property
    def age(self) -> timedelta:
        """Give how long this has existed; negative after the server's clock was set back."""
        return self.ts - self.created


class Extent(msgspec.Struct, frozen=True):
    """The first and the last sequence number of a stream; an empty one has the last below the first, or 0."""

    first_seq: int
    last_seq: int


class StreamStanding(_Told, frozen=True):
    """What a stream holds."""

    state: Extent


class AckFloor(msgspec.Struct, frozen=True):
    """Every message up to this sequence number of the stream has been settled."""

    stream_seq: int


class ConsumerStanding(_Told, frozen=True):
    """How far a consumer is; pending are messages not delivered yet, ack pending those not settled yet."""

    ack_floor: AckFloor
    num_pending: int
    num_ack_pending: int

    @property
    def drained(self) -> bool:
        """Tell whether every message of the stream has been settled."""
        return self.num_pending == self.num_ack_pending == 0


Standing = TypeVar("Standing", StreamStanding, ConsumerStanding)


async def stream_standing(bus: Bus, stream: str) -> StreamStanding:
    """Ask for a stream; raises NotGranted, and BusUnavailable also when there is no such stream."""
    return await _ask(bus, f"$JS.API.STREAM.INFO.{stream}", StreamStanding)


async def consumer_standing(bus: Bus, consumer: Consumer) -> ConsumerStanding:
    """Ask for a consumer; raises NotGranted, and BusUnavailable also when there is no such consumer."""
    return await _ask(bus, f"$JS.API.CONSUMER.INFO.{consumer.stream}.{consumer.name}", ConsumerStanding)


async def _ask(bus: Bus, subject: str, kind: type[Standing]) -> Standing:
    if not await bus.ready():
        raise BusUnavailable("The bus is not connected.")
    bus.refused.discard(subject.lower())
    try:
        answer = await bus.client.request(subject, timeout=INFO_SECONDS)
        standing: Standing = decode(answer.data, kind)
    except (Error, AssertionError, Malformed) as error:
        # The server refuses without an answer: the error comes on its own, the request times out.
        if subject.lower() in bus.refused:
            raise NotGranted(subject) from None
        raise BusUnavailable(f"The server did not say how {subject} is ({type(error).__name__}).") from None
    return standing

"""The state of a stream and a consumer, as far as the rights of the service allow to ask the server."""

from datetime import datetime, timedelta
from typing import TypeVar

import msgspec
from nats.errors import Error

from chassis.bus.connection import Bus, BusUnavailable
from chassis.clocks import Ask
from contracts.wire.envelope import Malformed, decode
from contracts.wire.topology import Consumer

INFO_SECONDS = 1.0
# The code of an error while the stream, or the cluster, has no leader.
UNAVAILABLE = 503


class NotGranted(BusUnavailable):
    """The server denies this request, for example because its configuration was not updated yet."""


class _Told(msgspec.Struct, frozen=True):
    """The fields of every reply: times by the server's clock; NATS sends `ts` since 2.10."""

    created: datetime
    ts: datetime

    @property
    def age(self) -> timedelta:
        """Return the age of the stream or consumer; negative after the server's clock was set back."""
        return self.ts - self.created


class Extent(msgspec.Struct, frozen=True):
    """The messages of a stream, by first and last sequence number and in number.

    If it is empty, the last sequence number is below the first, or 0.
    """

    first_seq: int
    last_seq: int
    messages: int
    bytes: int = 0


class StreamStanding(_Told, frozen=True):
    """The state of a stream."""

    state: Extent


class AckFloor(msgspec.Struct, frozen=True):
    """Every message up to this sequence number of the stream has been settled."""

    stream_seq: int


class Delivered(msgspec.Struct, frozen=True):
    """When the server last delivered a message, by its clock; None if it never did."""

    last_active: datetime | None = None


class ConsumerStanding(_Told, frozen=True):
    """The state of a consumer; `num_pending` messages are undelivered, `num_ack_pending` are not settled.

    `num_waiting` requests for messages are open.
    """

    ack_floor: AckFloor
    num_pending: int
    num_ack_pending: int
    num_waiting: int = 0
    delivered: Delivered = Delivered()

    @property
    def is_asked(self) -> bool:
        """Return whether a process with a free slot asks for a message right now."""
        return self.num_waiting > 0

    def is_pulled(self, within: timedelta) -> bool:
        """Return whether a process asks for a message, or got one within the time."""
        last = self.delivered.last_active
        return self.is_asked or (last is not None and self.ts - last < within)

    @property
    def waiting(self) -> int:
        """Return how many messages of the stream have not been settled."""
        return self.num_pending + self.num_ack_pending


class _Error(msgspec.Struct, frozen=True):
    """The error in a reply; its code is like that of HTTP."""

    code: int


class _Reply(msgspec.Struct, frozen=True):
    """Any reply of JetStream."""

    error: _Error | None = None


Standing = TypeVar("Standing", StreamStanding, ConsumerStanding, _Reply)


async def stream_standing(bus: Bus, stream: str) -> StreamStanding:
    """Return the state of a stream; raises NotGranted, and BusUnavailable also for an unknown stream."""
    return await _ask(bus, f"$JS.API.STREAM.INFO.{stream}", StreamStanding)


async def answers(bus: Bus, consumer: Consumer) -> bool:
    """Return whether JetStream answers for a consumer, even that it is unknown; raises as the others."""
    reply = await _ask(bus, _consumer_info(consumer), _Reply)
    return reply.error is None or reply.error.code != UNAVAILABLE


async def consumer_standing(bus: Bus, consumer: Consumer) -> ConsumerStanding:
    """Return the state of a consumer; raises NotGranted, and BusUnavailable also for an unknown consumer."""
    return await _ask(bus, _consumer_info(consumer), ConsumerStanding)


def nats_clock(bus: Bus, consumer: Consumer) -> Ask:
    """Return a function that asks the server for its time, which is in its replies about a consumer."""

    async def ask() -> float:
        return (await consumer_standing(bus, consumer)).ts.timestamp()

    return ask


def _consumer_info(consumer: Consumer) -> str:
    return f"$JS.API.CONSUMER.INFO.{consumer.stream}.{consumer.name}"


async def _ask(bus: Bus, subject: str, kind: type[Standing]) -> Standing:
    """Ask the server, unless it denied the same request within the last minute."""
    if not await bus.ready():
        raise BusUnavailable("The bus is not connected.")
    try:
        if not bus.denies(subject):
            standing: Standing = decode((await bus.client.request(subject, timeout=INFO_SECONDS)).data, kind)
            return standing
    except (Error, AssertionError, Malformed) as error:
        # The server denies a request without a reply: it sends a separate error, and the request times out.
        if not bus.denies(subject):
            trouble = f"The server did not say how {subject} is ({type(error).__name__})."
            raise BusUnavailable(trouble) from None
    raise NotGranted(f"The server denies {subject}.")

"""The state of the system for operators: health, counts, sizes and limits, and no number of a user."""

import asyncio
from dataclasses import dataclass

import msgspec

from chassis.bus.connection import Bus, BusUnavailable
from chassis.bus.inspection import stream_standing
from chassis.health import Checks, Readiness, readiness
from contracts.wire.topology import STREAMS
from gateway.limits import Limits, Policy
from gateway.operators.venues import ExchangeState, show_all
from gateway.store.counts import Counts, count, database_bytes
from gateway.store.pool import Pool


class StreamSize(msgspec.Struct, frozen=True):
    """The size of a stream and its limit; null where the bus does not answer."""

    name: str
    messages: int | None
    bytes: int | None
    max_bytes: int | None


class RateLimit(msgspec.Struct, frozen=True):
    """How often a user, or all clients of an address (`shared`), may do something in so many seconds."""

    name: str
    quota: int
    window: int
    shared: bool


class Status(msgspec.Struct, frozen=True):
    """The state of the system as this gateway sees it."""

    health: Readiness
    counts: Counts
    database_bytes: int
    streams: tuple[StreamSize, ...]
    exchanges: tuple[ExchangeState, ...]
    rate_limits: tuple[RateLimit, ...]


@dataclass(frozen=True)
class Overview:
    """The parts whose state operators see; `limits` are those that exist today."""

    pool: Pool
    bus: Bus
    checks: Checks
    limits: Limits

    async def status(self) -> Status:
        """Return the state of the system; raises DatabaseUnavailable."""
        health, streams = await asyncio.gather(readiness(self.checks), self._streams())
        async with self.pool.transaction(snapshot=True) as connection:
            return Status(
                health=health,
                counts=await count(connection),
                database_bytes=await database_bytes(connection),
                streams=streams,
                exchanges=await show_all(connection),
                rate_limits=_rate_limits(self.limits),
            )

    async def _streams(self) -> tuple[StreamSize, ...]:
        limits = {str(stream.name): stream.max_bytes for stream in STREAMS}
        return tuple(await asyncio.gather(*(self._stream(name, most) for name, most in limits.items())))

    async def _stream(self, name: str, most: int | None) -> StreamSize:
        try:
            state = (await stream_standing(self.bus, name)).state
        except BusUnavailable:
            return StreamSize(name, None, None, most)
        return StreamSize(name, state.messages, state.bytes, most)


def _rate_limits(limits: Limits) -> tuple[RateLimit, ...]:
    """Return every policy once."""
    fields = msgspec.structs.astuple(limits)
    policies: list[Policy] = []
    for field in fields:
        policies += [field] if isinstance(field, Policy) else field
    return tuple(RateLimit(each.name, each.quota, each.window, each.shared) for each in policies)

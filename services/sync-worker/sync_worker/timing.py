"""The time left for a sync, by the age of its request on the NATS server's clock, never on ours."""

import math
from contextlib import suppress
from datetime import datetime

import msgspec
import structlog

from chassis.bus.delivery import Delivery, RetryLater
from chassis.clocks import DISAGREES, NATS, TOLERANCE, Ask, Clocks
from contracts.syncs import SyncRequested
from contracts.wire.envelope import SECONDS_LEFT_HEADER, Malformed

UNKNOWN_DELAY = 2.0

log = structlog.get_logger()


class Left(msgspec.Struct, frozen=True):
    """The seconds until the deadline; `impossible` is the reason why they cannot be trusted, if any."""

    seconds: float
    impossible: str = ""


class Timing:
    """Computes the time left for requests; `server` asks the NATS server for its time."""

    def __init__(self, clocks: Clocks, server: Ask) -> None:
        self._clocks = clocks
        self._server = server

    async def left(self, request: SyncRequested, delivery: Delivery) -> Left:
        """Return the time left for a request; raises Malformed, and RetryLater without the server's time.

        It is the time left at the publication, less the age since then. Gateways of the previous release do
        not send the first: then the deadline counts, which is a time by their own clock.
        """
        left = self._left(request, delivery, await self._server_time())
        if left.seconds > 0 or left.impossible:
            return left
        # The server's clock may have been set since the last reading, so read it again before giving up.
        await self._clocks.measure(NATS, self._server)
        left = self._left(request, delivery, await self._server_time())
        until_deadline = (request.deadline - self._clocks.now()).total_seconds()
        if left.seconds <= 0 and not left.impossible and until_deadline - left.seconds > TOLERANCE:
            log.error(DISAGREES, sync_id=request.sync_id, seconds_until_deadline=round(until_deadline, 1))
            return Left(until_deadline, "Only the clock of the bus says that the request is over.")
        return left

    async def is_over(self, delivery: Delivery) -> bool:
        """Return whether the time that a message was published with has passed.

        Raises Malformed, and RetryLater without the server's time.
        """
        published_with = _seconds_left(delivery)
        age = (await self._server_time() - _stored_at(delivery)).total_seconds()
        return published_with is not None and age > published_with

    def _left(self, request: SyncRequested, delivery: Delivery, now: datetime) -> Left:
        published_with = _seconds_left(delivery)
        age = (now - _stored_at(delivery)).total_seconds()
        if age < -TOLERANCE:
            log.error(DISAGREES, sync_id=request.sync_id, seconds_in_the_future=round(-age, 1))
            until_deadline = (request.deadline - self._clocks.now()).total_seconds()
            return Left(until_deadline, "By the clock of the bus the request was sent in the future.")
        if published_with is None:
            return Left((request.deadline - now).total_seconds())
        return Left(published_with - max(0.0, age))

    async def server_time(self, anew: bool = False) -> datetime | None:  # noqa: FBT001, FBT002 - of a port
        """Return the server's time; None if it is silent.

        Asks for it if the last reading is too old, or `anew`.
        """
        if anew or self._clocks.time_of(NATS) is None:
            await self._clocks.measure(NATS, self._server)
        return self._clocks.time_of(NATS)

    async def _server_time(self) -> datetime:
        now = await self.server_time()
        if now is None:
            raise RetryLater(UNKNOWN_DELAY, "the server's time is not known")
        return now


def _stored_at(delivery: Delivery) -> datetime:
    assert delivery.stored_at is not None  # noqa: S101 - every delivery from a stream has it
    return delivery.stored_at


def _seconds_left(delivery: Delivery) -> float | None:
    """Return the seconds left at the publication, None without the header; raises Malformed."""
    text = delivery.headers.get(SECONDS_LEFT_HEADER)
    if text is None:
        return None
    with suppress(ValueError):
        if math.isfinite(seconds := float(text)):
            return seconds
    raise Malformed("the time that is left is not a number")

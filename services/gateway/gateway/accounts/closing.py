"""Closing the days of users: what their accounts held at midnight, and what it was worth then."""

import asyncio
from datetime import datetime
from uuid import UUID

import msgspec
import structlog

from gateway.accounts.history import find_pricing
from gateway.errors import InvalidInput
from gateway.portfolio.calendar import GREENWICH, day_of, end_of, next_close, zone_names
from gateway.portfolio.history import AccountThen, History, no_point
from gateway.portfolio.snapshots import content_from
from gateway.portfolio.sums import sum_of
from gateway.rows.closes import Clock, Close, CloseSum
from gateway.rows.snapshots import Snapshot
from gateway.store import closes
from gateway.store.background import attempt, repeat
from gateway.store.pool import Connection, Pool, database_time
from gateway.store.snapshots import find_past

LOOK_SECONDS = 20.0
# As many days may fail in one turn; they are tried again in the next one.
MOST_FAILED = 100
NOT_A_ZONE = "A time zone has a name of the IANA database, such as Europe/Berlin or UTC."

log = structlog.get_logger()


class Closer:
    """Looks every 20 seconds for days that have ended; any number of gateways may close at once.

    A gateway that was away closes each missed day with the snapshots and prices of that day's end.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def run(self) -> None:
        """Close days for ever."""
        await repeat("closing", self.close_due, asyncio.sleep, LOOK_SECONDS)

    async def close_due(self) -> None:
        """Close all days that have ended, each in a transaction; one that fails stops no other."""
        failed: list[UUID] = []
        for tries in range(MOST_FAILED):
            if await attempt("closing", self._close_all(failed)) or len(failed) == tries:
                return
            log.error("day_not_closed", user_id=failed[-1])

    async def _close_all(self, failed: list[UUID]) -> None:
        """Close days until none is left; adds the user whose day fails to `failed` before it raises."""
        while True:
            async with self._pool.transaction() as connection:
                clock = await closes.claim(connection, failed)
                if clock is None:
                    return
                failed.append(clock.user_id)
                await closes.write(connection, await _closed(connection, clock))
                await closes.advance(connection, advanced(clock))
            failed.pop()


def advanced(clock: Clock) -> Clock:
    """Return the clock after its day was closed; a new zone counts from then on."""
    zone = clock.next_zone or clock.zone
    day, at = next_close(clock.next_day, clock.next_close_at, zone)
    return Clock(clock.user_id, zone, None, day, at)


async def _closed(connection: Connection, clock: Clock) -> list[Close]:
    """Return the closes of a user's accounts that were read by the end of the day."""
    at = clock.next_close_at
    pasts = await find_past(connection, clock.user_id, None, [at])
    identity, point_of, spans = await find_pricing(connection, clock.user_id, pasts, [at])
    history = History(pasts, point_of, manual=spans, identity=identity, regroups=False)
    then = history.at(at)
    listed = (_close(clock, account) for account in then.accounts)
    return [close for close in listed if close is not None]


def _close(clock: Clock, of: AccountThen) -> Close | None:
    held, at = of.snapshot, clock.next_close_at
    if held is None or of.values is None:
        return None
    stale = {(each.wallet, each.asset): each.stale_as_of for each in held.content.amounts}
    content = content_from(held.content.wallets, stale, of.values.parts)
    account_id, until = of.past.account_id, min(held.until, at)
    close = Close(account_id, clock.next_day, at, until, held.fresh_seconds, held.id, content)
    return msgspec.structs.replace(close, sum=_sum(of, close))


def _sum(of: AccountThen, close: Close) -> CloseSum | None:
    """Return the sum that a reader of the content would find."""
    read = Snapshot(close.snapshot_id, close.at, close.until, close.fresh_seconds, close.content)
    past = msgspec.structs.replace(of.past, ended=[read], open=None, wallets=[])
    (found,) = History([past], no_point).at(close.at).accounts
    return None if found.values is None else sum_of(found.values)


async def find_clock(pool: Pool, user_id: UUID) -> Clock:
    """Return the clock of a user; one that does not run yet is in UTC."""
    async with pool.transaction() as connection:
        found = await closes.find_clock(connection, user_id)
        return found or _started(user_id, GREENWICH, await database_time(connection))


async def set_zone(pool: Pool, user_id: UUID, zone: str) -> Clock:
    """Set a user's time zone; it counts from the next midnight on. Raises InvalidInput."""
    if zone not in zone_names():
        raise InvalidInput(NOT_A_ZONE, errors=[{"field": "time_zone", "message": NOT_A_ZONE}])
    async with pool.transaction() as connection:
        started = _started(user_id, zone, await database_time(connection))
        return await closes.set_zone(connection, started)


def _started(user_id: UUID, zone: str, now: datetime) -> Clock:
    day = day_of(now, zone)
    return Clock(user_id, zone, None, day, end_of(day, zone))

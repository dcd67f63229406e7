"""Exporting the daily closes of a user, a month at a time, so that many years need little memory."""

from collections.abc import AsyncIterator
from datetime import UTC, date, timedelta
from uuid import UUID

from gateway.errors import InvalidInput
from gateway.portfolio.lines import Line, lines
from gateway.store import closes
from gateway.store.pool import Pool, database_time

AT_ONCE = timedelta(days=31)
MOST_DAYS = 3660
YEAR = timedelta(days=365)
RANGE = f"Ask for 1 to {MOST_DAYS} days: `from` is the first one, `to` the last."


async def find_range(pool: Pool, first: date | None, last: date | None) -> tuple[date, date]:
    """Return the first and the last day of an export, by default of the last year; raises InvalidInput."""
    today = (await pool.single(database_time)).astimezone(UTC).date()
    last = today if last is None else min(last, today)
    first = last - YEAR if first is None else first
    if not timedelta(0) <= last - first < timedelta(days=MOST_DAYS):
        raise InvalidInput(RANGE, errors=[{"field": "from", "message": RANGE}])
    return first, last


async def export(pool: Pool, user_id: UUID, first: date, last: date) -> AsyncIterator[list[Line]]:
    """Yield the lines of closed days in parts, each of one moment; a close never changes."""
    while first <= last:
        end = min(first + AT_ONCE, last + timedelta(days=1))
        days = [first + timedelta(days=number) for number in range((end - first).days)]
        async with pool.transaction() as connection:
            pasts = await closes.find_closed(connection, user_id, None, days)
        yield list(lines(pasts))
        first = end

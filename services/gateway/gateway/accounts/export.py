"""Exporting the daily closes of a user in parts, so that many years of many accounts need little memory."""

from collections.abc import AsyncIterator
from datetime import UTC, date, timedelta
from uuid import UUID

from gateway.errors import InvalidInput
from gateway.portfolio.lines import Line, lines
from gateway.store import closes
from gateway.store.pool import Pool, database_time
from gateway.store.restores import list_restores

MOST_AT_ONCE, LINES_AT_ONCE = 31, 10_000
MOST_DAYS = 366
YEAR = timedelta(days=365)
RANGE = f"Ask for 1 to {MOST_DAYS} days: `from` is the first one, `to` the last. Split longer times."


async def find_range(pool: Pool, first: date | None, last: date | None) -> tuple[date, date]:
    """Return the first and the last day of an export, by default of the last year; raises InvalidInput."""
    today = (await pool.single(database_time)).astimezone(UTC).date()
    last = today if last is None else min(last, today)
    first = max(last, date.min + YEAR) - YEAR if first is None else first
    if not timedelta(0) <= last - first < timedelta(days=MOST_DAYS):
        raise InvalidInput(RANGE, errors=[{"field": "from", "message": RANGE}])
    return first, last


async def export(pool: Pool, user_id: UUID, first: date, last: date) -> AsyncIterator[list[Line]]:
    """Yield the lines of closed days in parts, each of one moment; a close never changes.

    A part has as many days as the lines of the part before suggest.
    """
    at_once = 1
    while first <= last:
        days = [first + timedelta(days=number) for number in range(at_once)]
        async with pool.transaction() as connection:
            pasts = await closes.find_closed(connection, user_id, None, [day for day in days if day <= last])
            restores = await list_restores(connection)
        found = list(lines(pasts, restores))
        yield found
        first += timedelta(days=at_once)
        at_once = max(1, min(MOST_AT_ONCE, LINES_AT_ONCE * at_once // max(len(found), 1)))

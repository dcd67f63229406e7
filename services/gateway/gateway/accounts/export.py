"""Exporting the daily closes of a user in parts, so that many years of many accounts need little memory."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, timedelta
from itertools import accumulate
from uuid import UUID

from gateway.errors import InvalidInput
from gateway.portfolio.lines import Line, lines
from gateway.store import closes
from gateway.store.pool import Pool, database_time
from gateway.store.restores import list_restores

# Closes of so many bytes, as the database compresses them, are some ten thousand lines.
MOST_AT_ONCE, BYTES_AT_ONCE = 31, 512 * 1024
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

    A part has as many days as the stored sizes of their closes allow, and one at least.
    """
    while first <= last:
        days = [
            first + timedelta(days=number) for number in range(min(MOST_AT_ONCE, (last - first).days + 1))
        ]
        async with pool.transaction() as connection:
            days = _fitting(days, await closes.find_sizes(connection, user_id, days))
            pasts = await closes.find_closed(connection, user_id, None, days)
            restores = await list_restores(connection)
        # It takes a while, in which others are served.
        yield await asyncio.to_thread(lambda found, lost: list(lines(found, lost)), pasts, restores)
        first = days[-1] + timedelta(days=1)


def _fitting(days: list[date], sizes: Mapping[date, int]) -> list[date]:
    """Return the first days whose closes together have few bytes, or the first one."""
    sums = accumulate(sizes.get(day, 0) for day in days)
    return [day for day, size in zip(days, sums, strict=True) if size <= BYTES_AT_ONCE] or days[:1]

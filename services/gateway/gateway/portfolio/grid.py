"""The times of a history: full hours, midnights or Mondays of UTC. Pure."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

DAY, WEEK = timedelta(days=1), timedelta(days=7)
MONDAY = datetime(2024, 1, 1, tzinfo=UTC)


class Interval(StrEnum):
    """The distance of the points of a history; days begin at midnight of UTC, weeks on Monday."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


STEPS = {Interval.HOUR: timedelta(hours=1), Interval.DAY: DAY, Interval.WEEK: WEEK}
# What is shown if nothing else is asked for.
SPANS = {Interval.HOUR: DAY, Interval.DAY: timedelta(days=30), Interval.WEEK: timedelta(days=364)}


def count(first: datetime, last: datetime, interval: Interval) -> int:
    """Return the number of points from a time to another, both included."""
    begin, end = _ends(first, last, interval)
    return max(end - begin + 1, 0)


def grid(first: datetime, last: datetime, interval: Interval) -> list[datetime]:
    """Return the points from a time to another, both included."""
    begin, end = _ends(first, last, interval)
    return [MONDAY + STEPS[interval] * number for number in range(begin, end + 1)]


def _ends(first: datetime, last: datetime, interval: Interval) -> tuple[int, int]:
    """Return the numbers of the first and the last point."""
    step = STEPS[interval]
    return -((MONDAY - first) // step), (last - MONDAY) // step

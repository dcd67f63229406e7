"""The distances of the points of a history. Pure."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Interval(StrEnum):
    """The distance of the points of a history; days and weeks end at midnight of the user's time zone.

    A week ends with Sunday.
    """

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


STEPS = {Interval.HOUR: HOUR, Interval.DAY: DAY, Interval.WEEK: WEEK}
# What is shown if nothing else is asked for.
SPANS = {Interval.HOUR: DAY, Interval.DAY: timedelta(days=30), Interval.WEEK: timedelta(days=364)}


def count(first: datetime, last: datetime, interval: Interval) -> int:
    """Return the highest number of points from a time to another, both included."""
    return (last - first) // STEPS[interval] + 1


def hours(first: datetime, last: datetime) -> list[datetime]:
    """Return the full hours from a time to another, both included."""
    begin, end = -((EPOCH - first) // HOUR), (last - EPOCH) // HOUR
    return [EPOCH + HOUR * number for number in range(begin, end + 1)]

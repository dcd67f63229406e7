"""Days of time zones: when they end, and which one follows. Pure."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
GREENWICH = "UTC"
SUNDAY = 6


@cache
def zone_names() -> frozenset[str]:
    """Return the names of the zones in the pinned copy of the IANA database, whatever the machine has."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


@lru_cache(maxsize=600)
def zone_of(name: str) -> ZoneInfo:
    """Return a zone of the pinned IANA database; UTC for a name that a later release wrote."""
    known = name if name in zone_names() else GREENWICH
    with files("tzdata").joinpath("zoneinfo").joinpath(known).open("rb") as file:
        return ZoneInfo.from_file(file, key=known)


def end_of(day: date, zone: str) -> datetime:
    """Return the midnight after a day. Where clocks skip it, that is the moment at which they do."""
    return datetime.combine(day + DAY, time(), zone_of(zone)).astimezone(UTC)


def day_of(moment: datetime, zone: str) -> date:
    """Return the day of a moment."""
    return moment.astimezone(zone_of(zone)).date()


def next_close(closed: date, closed_at: datetime, zone: str) -> tuple[date, datetime]:
    """Return the day to close after one, and when it ends; `zone` may be another one than before.

    A change of zone makes a day shorter or longer. No day is closed twice; far to the east one is left out.
    """
    day = closed + DAY
    while end_of(day, zone) <= closed_at:
        day += DAY
    return day, end_of(day, zone)


def days(first: datetime, last: datetime, zone: str, *, weekly: bool = False) -> Iterator[date]:
    """Return the days, or the Sundays, whose ends are from one time to another, both included."""
    day = day_of(first, zone) - DAY
    while (end := end_of(day, zone)) <= last:
        if end >= first and (not weekly or day.weekday() == SUNDAY):
            yield day
        day += DAY

"""Thinning of old snapshots to the last one of each hour. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise

import msgspec

from gateway.portfolio.grid import DAY, HOUR
from gateway.portfolio.points import hour_of
from gateway.portfolio.snapshots import INSTANT


class Thinned(msgspec.Struct, frozen=True):
    """The beginnings of the snapshots to delete; `changed` marks the one before with its end."""

    gone: tuple[datetime, ...]
    changed: Mapping[datetime, datetime]


def next_hour(time: datetime) -> datetime:
    """Return the full hour at or after a time."""
    return hour_of(time.astimezone(UTC) - INSTANT) + HOUR


def thinned(times: Sequence[datetime], first: datetime, last: datetime) -> Thinned:
    """Return the snapshots of an account to delete that began after `first` until `last`, full hours.

    `times` are the beginnings of all snapshots in between, and of the ones around them. A snapshot goes if
    the next one begins by the following full hour, so no full hour is without the one that held then. The
    first of all stays: without it, nothing would be known until the next one.
    """
    gone = {
        time
        for place, time in enumerate(times[:-1])
        if place > 0 and first < time <= last and times[place + 1] <= next_hour(time)
    }
    changed = {time: after for time, after in pairwise(times) if after in gone and time not in gone}
    return Thinned(tuple(sorted(gone)), changed)


def stretch(until: datetime, settled: datetime) -> tuple[datetime, datetime]:
    """Return the beginning and end of the next times of an account to thin: a day at most.

    `until` is the end of the stretch before, `settled` the time from which all snapshots are still needed.
    """
    last = hour_of(min(settled, until + DAY).astimezone(UTC))
    return until, max(until, last)

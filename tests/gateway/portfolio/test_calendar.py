"""Days end at midnight of a time zone, whatever its clocks do."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.portfolio.calendar import day_of, days, end_of, next_close, zone_names

ZONES = st.sampled_from(sorted(zone_names()))
DAYS = st.dates(date(1995, 1, 1), date(2035, 1, 1))


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        (date(2026, 3, 29), "Europe/Berlin", 23),
        (date(2026, 10, 25), "Europe/Berlin", 25),
        (date(2026, 11, 28), "Europe/Berlin", 24),
        (date(2026, 4, 5), "Australia/Lord_Howe", 24.5),
        (date(2011, 12, 29), "Pacific/Apia", 24),
    ],
)
def test_a_day_may_have_23_or_25_hours(day: date, zone: str, hours: float) -> None:
    """It lasts from midnight to midnight."""
    assert end_of(day, zone) - end_of(day - timedelta(days=1), zone) == timedelta(hours=hours)


def test_a_midnight_that_clocks_skip_is_the_moment_at_which_they_do() -> None:
    """Chile's clocks go from 24:00 to 1:00."""
    assert end_of(date(2026, 9, 5), "America/Santiago") == datetime(2026, 9, 6, 4, tzinfo=UTC)


@given(DAYS, ZONES)
def test_the_moment_before_the_end_is_of_the_day_and_the_end_is_not(day: date, zone: str) -> None:
    """In every zone, on every day that exists there."""
    end = end_of(day, zone)
    if day_of(end - timedelta(seconds=1), zone) == day:
        assert day_of(end, zone) > day


@given(DAYS, ZONES, ZONES)
@example(date(2026, 3, 1), "Pacific/Niue", "Pacific/Kiritimati")
@example(date(2026, 3, 1), "Pacific/Kiritimati", "Pacific/Niue")
def test_no_day_is_closed_twice_and_time_never_goes_back(day: date, before: str, after: str) -> None:
    """Also where the zone changes: then a day is shorter or longer, by two days at most."""
    closed_at = end_of(day, before)

    following, at = next_close(day, closed_at, after)

    assert following > day
    assert timedelta(0) < at - closed_at <= timedelta(days=2, hours=4)


@given(DAYS, ZONES, st.integers(0, 40))
def test_days_of_a_time_are_all_those_that_end_in_it(day: date, zone: str, more: int) -> None:
    """Both ends included, none twice; weeks end with Sundays."""
    last = day + timedelta(days=more)

    found = list(days(end_of(day, zone), end_of(last, zone), zone))

    assert found[0] == day
    assert found[-1] == last
    assert len(found) == more + 1
    sundays = list(days(end_of(day, zone), end_of(last, zone), zone, weekly=True))
    assert sundays == [each for each in found if each.isoweekday() == 7]


def test_a_zone_that_is_not_known_counts_as_utc() -> None:
    """A later release may know more zones."""
    assert end_of(date(2026, 1, 1), "Mars/Olympus") == datetime(2026, 1, 2, tzinfo=UTC)

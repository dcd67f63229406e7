"""Thinned snapshots say the same at each full hour, and nothing else that looks right."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounts.history import Shown
from gateway.http.history_views import StatementView, statement_view
from gateway.portfolio.history import History, State, Then
from gateway.portfolio.thinning import next_hour, stretch, thinned
from gateway.rows.snapshots import Past, Snapshot
from tests.gateway.portfolio.test_history import LIMIT, START, content, every_hour, hours, past, told

MINUTES = st.lists(st.integers(0, 12 * 60), min_size=1, max_size=30, unique=True).map(sorted)
ENDS = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(sorted)


def changing(minutes: list[int]) -> list[Snapshot]:
    """Return snapshots that begin at these minutes, each confirmed until a minute before the next."""
    ends = [*minutes[1:], minutes[-1] + 2]
    return [
        Snapshot(
            UUID(int=number + 1),
            START + timedelta(minutes=begin),
            START + timedelta(minutes=max(begin, end - 1)),
            LIMIT,
            content(START + timedelta(minutes=begin), BTC=str(number + 1)),
        )
        for number, (begin, end) in enumerate(zip(minutes, ends, strict=True))
    ]


def after(snapshots: list[Snapshot], first: int, last: int) -> Past:
    """Return an account whose snapshots of some hours are thinned."""
    found = thinned([each.since for each in snapshots], hours(first), hours(last))
    left = [
        msgspec.structs.replace(each, changed_at=found.changed.get(each.since))
        for each in snapshots
        if each.since not in found.gone
    ]
    return past(*left)


def view(then: Then) -> StatementView:
    """Return everything that a user sees of a time."""
    return statement_view(Shown("USD", [(then, None)]))


@given(MINUTES, ENDS)
def test_points_at_full_hours_are_the_same_before_and_after(minutes: list[int], ends: list[int]) -> None:
    """Whatever hours are thinned; in between, what is not the same is not fresh, and says why."""
    snapshots = changing(minutes)
    before = History([past(*snapshots)], every_hour)
    later = History([after(snapshots, *ends)], every_hour)

    for hour in range(16):
        assert view(later.at(hours(hour))) == view(before.at(hours(hour)))
    for minute in range(0, 16 * 60, 7):
        time = START + timedelta(minutes=minute)
        if told(later.at(time)) != told(before.at(time)):
            assert later.at(time).state is State.STALE
            assert "history_thinned" in later.at(time).codes


@given(MINUTES)
def test_one_snapshot_an_hour_is_left(minutes: list[int]) -> None:
    """Beside the first of all, without which less would be known."""
    left = after(changing(minutes), 0, 13).ended

    of_hours = [next_hour(each.since) for each in left[1:]]
    assert len(of_hours) == len(set(of_hours))
    assert left[0].since == START + timedelta(minutes=minutes[0])
    assert left[-1].content.amounts[0].quantity == Decimal(len(minutes))


@given(MINUTES, st.integers(0, 12))
def test_hours_that_are_thinned_in_two_turns_are_thinned_as_in_one(minutes: list[int], middle: int) -> None:
    """No hour is cut."""
    snapshots = changing(minutes)

    def of(first: int, last: int, listed: list[Snapshot]) -> list[Snapshot]:
        found = thinned([each.since for each in listed], hours(first), hours(last))
        return [
            msgspec.structs.replace(each, changed_at=found.changed.get(each.since, each.changed_at))
            for each in listed
            if each.since not in found.gone
        ]

    assert of(middle, 12, of(0, middle, snapshots)) == of(0, 12, snapshots)


def test_a_stretch_is_a_day_at_most_and_of_full_hours() -> None:
    """What is not settled yet is left, also where the clock of the user stands still."""
    assert stretch(hours(0), hours(99)) == (hours(0), hours(24))
    assert stretch(hours(0), hours(5.5)) == (hours(0), hours(5))
    assert stretch(hours(9), hours(5.5)) == (hours(9), hours(9))

"""A refused budget shrinks at once, pauses, and grows back slowly to the size of the table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.exchanges.types import Budget
from sync_worker.budgets.sizes import (
    FORGET_SECONDS,
    LEAST_LEARNT,
    LONGEST_PAUSE,
    MAX_STRIKES,
    MOST_LEARNT,
    STEPS,
    is_over,
    merged,
    paused,
    refused,
    size_at,
)

NOW = 1_000_000.0
KNOWN, UNKNOWN = Budget("all", 40, 2.0, counts_all=True), Budget("all", 0, 2.0, counts_all=True)
budgets = st.builds(Budget, st.just("all"), st.integers(1, 6000), st.sampled_from([1.0, 2.0, 60.0]))


@given(budgets, st.floats(0, 3600), st.floats(0, 10_000))
def test_a_budget_grows_and_never_over_its_table(budget: Budget, pause: float, later: float) -> None:
    """It halves at once, never shrinks by itself, and has its size back in the end."""
    shrunk = refused(budget, None, NOW, pause, 0)
    at_once, sooner = size_at(budget, shrunk, NOW), size_at(budget, shrunk, NOW + later)
    last = size_at(budget, shrunk, NOW + later + budget.seconds)

    assert at_once == max(1, budget.most // 2)
    assert at_once <= (sooner or 0) <= (last or 0) <= budget.most
    assert size_at(budget, shrunk, NOW + pause + budget.seconds * STEPS) == budget.most


def test_refusals_of_calls_under_way_count_once() -> None:
    """Ten calls that are refused together halve the budget once, and the longest pause holds."""
    shrunk = refused(KNOWN, None, NOW, 20.0, 0)
    for late in range(10):
        shrunk = refused(KNOWN, shrunk, NOW + late / 100, 20.0, 0)

    assert (shrunk.most, shrunk.strikes) == (20, 1)
    assert paused(shrunk, NOW) == pytest.approx(20.09)


def test_each_further_refusal_doubles_the_pause_and_the_way_back() -> None:
    """Without a time from the exchange it backs off exponentially, within bounds."""
    now, shrunk, pauses = NOW, None, []
    for _ in range(MAX_STRIKES + 3):
        shrunk = refused(Budget("all", 6000, 60.0), shrunk, now, None, 0)
        pauses.append(paused(shrunk, now))
        now = shrunk.until + 60.0

    assert pauses[:3] == [60.0, 120.0, 240.0]
    assert max(pauses) == LONGEST_PAUSE
    assert shrunk is not None
    assert shrunk.strikes == MAX_STRIKES


def test_a_limit_that_is_not_documented_is_learnt_and_forgotten() -> None:
    """It begins at half of what was used, doubles in ten windows, and has no limit after a quiet hour."""
    shrunk = refused(UNKNOWN, None, NOW, None, 60)

    assert size_at(UNKNOWN, None, NOW) is None
    assert size_at(UNKNOWN, shrunk, NOW) == 30
    assert size_at(UNKNOWN, refused(UNKNOWN, None, NOW, None, 3), NOW) == LEAST_LEARNT
    assert size_at(UNKNOWN, shrunk, shrunk.until + 40) == 120
    assert size_at(UNKNOWN, shrunk, shrunk.until + 3599) == MOST_LEARNT
    assert size_at(UNKNOWN, shrunk, shrunk.until + FORGET_SECONDS) is None
    assert is_over(UNKNOWN, shrunk, shrunk.until + FORGET_SECONDS)


def test_of_two_tellings_the_later_refusal_counts() -> None:
    """A worker that reads an older value does not forget its own refusal."""
    first = refused(KNOWN, None, NOW, 2.0, 0)
    second = refused(KNOWN, first, NOW + 10, 2.0, 0)

    assert merged({"all": first}, {"all": second}) == merged({"all": second}, {"all": first})
    assert merged({"all": first}, {"all": second}) == {"all": second}
    assert second.strikes == 2

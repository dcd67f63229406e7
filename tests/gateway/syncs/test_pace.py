"""How an outcome moves the schedule of its account."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.faults import FAULTS, Actor, Code
from contracts.syncs import Status
from gateway.rows.schedules import Move, Pace
from gateway.syncs.pace import LONGEST_SECONDS, WITH_THIS_KEY, Result, moved, needs_another_key, spread

ID = UUID(int=1)
HOUR = 3600


def pace(failures: int = 0, stopped: str | None = None, interval: int | None = HOUR) -> Pace:
    """Return the pace of an account."""
    return Pace(ID, interval, failures, stopped)


def failed(code: str, *, scheduled: bool = True, of_key: bool = True) -> Result:
    """Return the end of a failed sync."""
    return Result(Status.FAILED, code, scheduled, of_key)


@given(st.integers(300, 86400))
def test_accounts_drift_apart(seconds: int) -> None:
    """A wait differs by up to a tenth, and two waits are practically never alike."""
    waits = [spread(seconds) for _ in range(50)]

    assert all(0.9 * seconds <= wait <= 1.1 * seconds for wait in waits)
    assert len(set(waits)) > 40


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.PARTIAL])
def test_a_sync_that_read_something_changes_a_regular_schedule_not_at_all(status: Status) -> None:
    """So the ordinary outcome writes no row of the schedule."""
    assert moved(pace(), Result(status, None, scheduled=True, of_key=True)) is None


def test_failures_in_a_row_double_the_wait_up_to_a_day() -> None:
    """With jitter; the interval itself stays."""
    for failures in range(10):
        move = moved(pace(failures), failed(Code.EXCHANGE_TIMEOUT))
        assert move is not None
        assert move.wait is not None
        wanted = min(HOUR * 2 ** (failures + 1), LONGEST_SECONDS)
        assert (move.failures, move.stopped, move.sooner) == (failures + 1, None, False)
        assert 0.9 * wanted <= move.wait <= 1.1 * wanted
    far = moved(pace(100_000), failed(Code.EXCHANGE_TIMEOUT))
    assert far is not None
    assert far.wait is not None
    assert far.wait <= 1.1 * LONGEST_SECONDS


@pytest.mark.parametrize("scheduled", [True, False])
def test_a_fault_that_only_another_key_repairs_stops_the_schedule(scheduled: bool) -> None:  # noqa: FBT001 - a parameter
    """Whoever asked for the sync; the code says why."""
    move = moved(pace(3), failed(Code.KEY_UNKNOWN, scheduled=scheduled))

    assert move == Move(ID, 0, Code.KEY_UNKNOWN, None)
    assert moved(pace(stopped=Code.KEY_UNKNOWN), failed(Code.KEY_UNKNOWN)) is None


def test_a_fault_of_an_earlier_key_or_of_a_paused_account_stops_nothing() -> None:
    """The present key may be good, and the pause answers the other one. The failure counts as any."""
    move = moved(pace(), failed(Code.KEY_UNKNOWN, of_key=False))

    assert move is not None
    assert (move.failures, move.stopped) == (1, None)


@given(st.floats(0, 200_000), st.integers(300, 86400), st.integers(0, 9))
def test_a_sync_that_a_closed_exchange_refused_is_due_when_that_ends(
    seconds: float, interval: int, failures: int
) -> None:
    """Never earlier, in a day at most, spread over a tenth of the interval, doubled by each failure."""
    result = Result(Status.FAILED, Code.RATE_LIMITED, scheduled=True, of_key=True, retry_after=seconds)
    spread_over = interval / 10 * 2**failures

    move = moved(pace(failures, interval=interval), result)

    assert move is not None
    assert move.wait is not None
    assert (move.failures, move.stopped, move.sooner) == (failures + 1, None, False)
    assert min(seconds, LONGEST_SECONDS) <= move.wait <= min(seconds + spread_over, LONGEST_SECONDS)
    assert moved(pace(interval=None), result) == Move(ID, 1, None, None)


def test_an_exchange_that_names_a_short_time_again_and_again_is_asked_less_often() -> None:
    """Else an overloaded exchange, or our own limit, gets more syncs from the schedule than in good times."""
    before, waits = pace(), list[float]()
    for _ in range(12):
        result = Result(Status.FAILED, Code.RATE_LIMITED, scheduled=True, of_key=True, retry_after=1.0)
        move = moved(before, result)
        assert move is not None
        assert move.wait is not None
        before = pace(move.failures)
        waits.append(move.wait)

    assert sum(waits) / len(waits) > HOUR


def test_failed_syncs_of_a_person_do_not_slow_the_schedule() -> None:
    """A person who tries again and again during an outage delays nothing."""
    assert moved(pace(), failed(Code.EXCHANGE_TIMEOUT, scheduled=False)) is None


@pytest.mark.parametrize("before", [pace(4), pace(stopped=Code.KEY_UNKNOWN)])
def test_a_sync_that_read_something_ends_a_stop_and_the_failures(before: Pace) -> None:
    """The next one is due within the interval, or earlier."""
    move = moved(before, Result(Status.COMPLETED, None, scheduled=False, of_key=True))

    assert move is not None
    assert move.wait is not None
    assert (move.failures, move.stopped, move.sooner) == (0, None, True)
    assert 0.9 * HOUR <= move.wait <= 1.1 * HOUR


def test_a_schedule_that_is_off_stays_off() -> None:
    """An outcome never makes it due."""
    off = pace(2, interval=None)
    for result in (
        failed(Code.EXCHANGE_TIMEOUT),
        Result(Status.COMPLETED, None, scheduled=True, of_key=True),
    ):
        move = moved(off, result)
        assert move is not None
        assert move.wait is None


@pytest.mark.parametrize("code", [Code.IP_NOT_ALLOWED, Code.ACCOUNT_RESTRICTED])
def test_a_fault_that_ends_with_the_same_key_waits_a_day(code: Code) -> None:
    """Our addresses may be right again, or the exchange's restriction over: no user would start all again."""
    move = moved(pace(), failed(code))

    assert move is not None
    assert move.wait is not None
    assert (move.failures, move.stopped) == (1, None)
    assert 0.9 * LONGEST_SECONDS <= move.wait <= 1.1 * LONGEST_SECONDS
    assert moved(pace(), failed(code, scheduled=False)) is None


def test_only_faults_that_neither_a_retry_nor_the_exchange_ends_stop_the_schedule() -> None:
    """An exchange that limits or an unknown code backs off."""
    assert {code for code in FAULTS if needs_another_key(code)} == {
        code
        for code, fault in FAULTS.items()
        if fault.actor is Actor.USER and not fault.retryable and code not in WITH_THIS_KEY
    }
    assert needs_another_key(Code.KEY_UNKNOWN)
    assert not needs_another_key(Code.RATE_LIMITED)
    assert not needs_another_key("a code of tomorrow")

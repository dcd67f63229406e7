"""When a region of an exchange is closed to all of us, and when a worker looks again."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.closures import MAINTENANCE, MAX_SECONDS, UNAVAILABLE, Closure
from contracts.exchanges.okx import OKX
from contracts.faults import Code, Failure, failure
from contracts.syncs import Verdict, WalletRead
from sync_worker.closures.breaker import (
    KEYS,
    PROBE_SECONDS,
    SOON_SECONDS,
    TRIES,
    Breaker,
    claimed,
    closed,
    probed,
    shown,
)
from sync_worker.closures.hearing import Heard, Maintenance, heard
from sync_worker.errors import ExchangeTimeout, HeldBack
from sync_worker.settings import Pace
from sync_worker.sync import Reading, nothing_read
from sync_worker.verdicts import unread

ONE, OTHER = UUID(int=1), UUID(int=2)
PACE = Pace(30.0, 300.0)
NOW = 1_782_561_600.0
READ_AT = datetime(2026, 6, 27, 12, tzinfo=UTC)
TIMES = st.floats(0, 10_000).map(lambda seconds: NOW + seconds)
FOUND = st.sampled_from(Heard)
SAID = st.none() | st.builds(Maintenance, st.none() | TIMES)


def refused(code: str | None) -> Failure:
    """Return the fault of a read that the exchange refused as unavailable."""
    return failure(Code.EXCHANGE_UNAVAILABLE, exchange_code=code)


def row(*tries: tuple[UUID, Heard]) -> bool:
    """Return whether the last of these tries closes the region."""
    breaker = Breaker()
    return [breaker.note(key, what) for key, what in tries][-1]


def test_three_tries_in_a_row_of_two_keys_close_a_region() -> None:
    """Not fewer, not those of one key however many, and not with an answer in between."""
    shut = Heard.CLOSED

    assert row((ONE, shut), (OTHER, shut), (ONE, shut))
    assert not row((ONE, shut), (OTHER, shut))
    assert not row(*[(ONE, shut)] * 50)
    assert row(*[(ONE, shut)] * 50, (OTHER, shut))
    assert not row((ONE, shut), (OTHER, shut), (OTHER, Heard.ANSWERS), (ONE, shut))
    assert row((ONE, shut), (OTHER, shut), (OTHER, Heard.NOTHING), (ONE, Heard.SILENT), (ONE, shut))


@given(st.lists(st.tuples(st.sampled_from([ONE, OTHER]), FOUND)))
def test_no_other_row_closes_a_region(tries: Sequence[tuple[UUID, Heard]]) -> None:
    """The rule as it is written down: those since the last answer count, if they failed as closed."""
    breaker, since = Breaker(), list[UUID]()
    for key, what in tries:
        since = [] if what is Heard.ANSWERS else since + [key] * (what is Heard.CLOSED)
        last = since[-TRIES:]
        expected = what is Heard.CLOSED and len(last) == TRIES and len({*last}) >= KEYS

        assert breaker.note(key, what) == expected


def test_only_a_whole_failure_says_that_the_exchange_is_closed() -> None:
    """One wallet, one endpoint's code, or silence do not; an answer about the key says that it is open."""
    codes = OKX.closing_codes

    def of(fault: Failure) -> Heard:
        return heard(nothing_read(OKX, fault), codes)

    assert {of(refused(code)) for code in (*codes, None)} == {Heard.CLOSED}
    assert {of(refused(code)) for code in ("50005", "50046", "58007")} == {Heard.SILENT}
    assert of(ExchangeTimeout("late")) is Heard.SILENT
    assert of(HeldBack(2.0)) is of(failure(Code.VAULT_UNAVAILABLE)) is Heard.NOTHING
    assert of(failure(Code.RATE_LIMITED, exchange_code="50011")) is Heard.NOTHING
    assert of(failure(Code.CREDENTIAL_MISSING)) is Heard.NOTHING
    assert of(failure(Code.KEY_UNKNOWN, exchange_code="50119")) is Heard.ANSWERS
    one = Reading((unread("trading", refused("50001")), WalletRead("funding", Verdict.COMPLETE, READ_AT, ())))
    assert heard(one, codes) is Heard.ANSWERS


@pytest.mark.parametrize(
    ("said", "reason", "seconds"),
    [
        (None, UNAVAILABLE, PACE.first),
        (Maintenance(NOW + 1800), MAINTENANCE, 1800.0),
        (Maintenance(NOW + 7200), MAINTENANCE, MAX_SECONDS),
        (Maintenance(NOW - 5), MAINTENANCE, PACE.first),
        (Maintenance(), MAINTENANCE, PACE.first),
    ],
    ids=["nothing", "an end", "a far end", "an end that has passed", "no end"],
)
def test_a_closed_region_is_left_alone_until_its_end(
    said: Maintenance | None, reason: str, seconds: float
) -> None:
    """Or for an hour, or, if the exchange names no end, until the first probe."""
    assert closed(None, NOW, PACE, said) == Closure(reason, NOW, NOW + seconds)


def test_a_later_end_counts_for_a_region_that_is_closed_already() -> None:
    """An earlier one does not, because a worker may have asked before another one."""
    first = closed(None, NOW, PACE, Maintenance(NOW + 600))

    assert closed(first, NOW + 1, PACE, None) == first
    assert closed(first, NOW + 1, PACE, Maintenance(NOW + 300)) == first
    later = closed(first, NOW + 1, PACE, Maintenance(NOW + 900))
    assert (later.since, later.until) == (NOW, NOW + 900)


def test_failed_probes_come_at_longer_intervals_and_an_answer_opens() -> None:
    """Each doubles the wait, up to the longest; one that says nothing does not."""
    closure: Closure | None = closed(None, NOW, PACE, None)
    waits = []
    for _ in range(6):
        assert closure is not None
        now = closure.until
        closure = probed(claimed(closure, now), Heard.CLOSED, now + 1, PACE, None)
        assert closure is not None
        waits.append(closure.until - now - 1)

    assert waits == [60.0, 120.0, 240.0, 300.0, 300.0, 300.0]
    assert closure is not None
    again = probed(closure, Heard.NOTHING, NOW, PACE, None)
    assert again is not None
    assert (again.probes, again.until) == (6, NOW + 300)
    assert probed(closure, Heard.ANSWERS, NOW, PACE, None) is None


@given(TIMES, TIMES, SAID)
def test_one_worker_at_a_time_has_the_probe(begun: float, now: float, said: Maintenance | None) -> None:
    """Whoever claims it takes it from all others for longer than a try lasts, and work comes back soon."""
    closure = closed(None, begun, PACE, said)
    mine = claimed(closure, now)

    assert (mine == closure) == (now < closure.until)
    if mine is not None and mine != closure:
        assert mine.until == now + PROBE_SECONDS
        assert claimed(mine, now) == mine
        assert shown(mine, now) == SOON_SECONDS


@given(st.lists(st.tuples(st.floats(0, 4000), FOUND, SAID), max_size=30))
def test_a_region_is_never_closed_for_longer_than_an_hour_without_a_look(
    steps: Sequence[tuple[float, Heard, Maintenance | None]],
) -> None:
    """Whatever the exchange says and probes find, and `since` stays that of the beginning."""
    now, closure = NOW, closed(None, NOW, PACE, None)
    for seconds, what, said in steps:
        now += seconds
        mine = claimed(closure, now)
        if mine is None or not mine.probing:
            continue
        after = probed(mine, what, now, PACE, said)
        assert (after is None) == (what is Heard.ANSWERS)
        closure = after or closed(None, now, PACE, said)
        assert 0 < closure.until - now <= MAX_SECONDS
        assert 0 < shown(closure, now) <= MAX_SECONDS
        assert not closure.probing

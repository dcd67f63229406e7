"""A snapshot begins when an account holds something else, and after a hole; never for times or prices."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.faults import Code
from contracts.syncs import Verdict, WalletRead
from contracts.values import Balance
from gateway.portfolio.snapshots import Change, begins, changes, facts_of, fresh_for, moments
from gateway.rows.balances import Place, Stored, StoredBalance, StoredWallet
from gateway.rows.schedules import Pace
from gateway.rows.snapshots import Open
from gateway.rows.syncs import Queued
from gateway.syncs.keep import keep

ACCOUNT = UUID(int=7)
START = datetime(2026, 11, 28, 12, tzinfo=UTC)
LIMIT = timedelta(hours=2)
PATIENCE = timedelta(minutes=5)


class Recorder:
    """Records syncs of one account in memory as the database does, and keeps the beginnings of snapshots."""

    def __init__(self) -> None:
        self.stored = Stored({}, {})
        self.open: Open | None = None
        self.until: list[datetime] = []
        self.begun: list[datetime] = []

    def record(self, number: int, at: datetime, *reads: WalletRead) -> bool:
        """Record the sync with a number, and return whether a snapshot begins."""
        sync = Queued(
            UUID(int=number),
            number,
            ACCOUNT,
            ACCOUNT,
            "okx",
            at,
            at,
            1,
            at + timedelta(seconds=2),
            deleted=False,
        )
        kept = keep(self.stored, [(sync, reads)], PATIENCE)
        change = changes([ACCOUNT], self.stored, kept.wallets, kept.lists)[ACCOUNT]
        facts = facts_of(change)
        began = begins(change, facts, self.open, LIMIT, sync.now)
        if began:
            since, until = moments(change, self.open, sync.now)
            self.open = Open(since, facts)
            self.begun.append(since)
            self.until.append(until)
        self.stored = Stored({**self.stored.wallets, **kept.wallets}, {**self.stored.lists, **kept.lists})
        return began


def read(wallet: str, as_of: datetime, **amounts: str) -> WalletRead:
    """Return a read wallet."""
    listed = tuple(Balance(asset, Decimal(amount)) for asset, amount in amounts.items())
    return WalletRead(wallet, Verdict.COMPLETE, as_of, listed)


def failed(wallet: str, code: Code = Code.EXCHANGE_TIMEOUT) -> WalletRead:
    """Return a wallet that was not read."""
    return WalletRead(wallet, Verdict.FAILED, error_code=code, error="late")


def later(hours: float) -> datetime:
    """Return a time after the start."""
    return START + timedelta(hours=hours)


def test_an_account_that_was_never_read_has_none() -> None:
    """Failed reads alone say nothing of what it holds."""
    assert not Recorder().record(1, START, failed("trading"), failed("funding"))


def test_times_begin_none() -> None:
    """The same amounts, read again, are the same facts, however they are written."""
    recorder = Recorder()
    assert recorder.record(1, START, read("trading", START, BTC="1.0", ETH="0"))

    assert not recorder.record(2, later(1), read("trading", later(1), BTC="1"))
    assert not recorder.record(3, later(2), read("trading", later(2), ETH="0.00", BTC="1.000"))


def test_an_amount_a_state_or_an_error_begins_one() -> None:
    """A failed wallet keeps its amounts, and the same failure again changes nothing."""
    recorder = Recorder()
    recorder.record(1, START, read("trading", START, BTC="1"))

    assert recorder.record(2, later(1), read("trading", later(1), BTC="2"))
    assert recorder.record(3, later(2), failed("trading"))
    assert not recorder.record(4, later(3), failed("trading"))
    assert recorder.record(5, later(4), failed("trading", Code.RATE_LIMITED))
    assert recorder.record(6, later(5), read("trading", later(5), BTC="2"))


def test_a_hole_begins_one() -> None:
    """What was not read for longer than two intervals was not known, even if nothing has changed."""
    recorder = Recorder()
    recorder.record(1, START, read("trading", START, BTC="1"))
    assert not recorder.record(2, later(1), read("trading", later(1), BTC="1"))

    assert recorder.record(3, later(3.1), read("trading", later(3.1), BTC="1"))

    assert (recorder.begun, recorder.until[1:]) == ([START, later(3.1)], [later(1)])


def test_an_empty_wallet_that_is_seldom_read_makes_no_hole() -> None:
    """Not being read changes nothing of it; what other wallets hold is confirmed without it."""
    recorder = Recorder()
    recorder.record(1, START, read("trading", START, BTC="1"), read("earn", START))
    for hour in range(1, 6):
        assert not recorder.record(hour + 1, later(hour), read("trading", later(hour), BTC="1"))

    again = read("trading", later(6), BTC="1"), read("earn", later(6))
    assert not recorder.record(9, later(6), *again)
    bought = read("trading", later(7), BTC="1"), read("earn", later(7), BTC="2")
    assert recorder.record(10, later(7), *bought)
    assert recorder.until[-1] == later(6)


def test_each_month_begins_one() -> None:
    """So none outlasts its partition by more than its last sync, and old months can be dropped."""
    recorder = Recorder()
    recorder.record(1, START, read("trading", START, BTC="1"))
    ended = False
    for hour in range(1, 24 * 32):
        at = later(hour)
        began = recorder.record(hour + 1, at, read("trading", at, BTC="1"))
        assert began == (at.month != later(hour - 1).month)
        ended |= began

    assert ended


def test_what_a_gateway_of_the_release_before_wrote_begins_one() -> None:
    """It records an outcome without a snapshot: the next sync sees that the facts are others."""
    recorder = Recorder()
    recorder.record(1, START, read("trading", START, BTC="1"))
    held = recorder.open
    recorder.record(2, later(1), read("trading", later(1), BTC="5"))
    recorder.open = held

    assert recorder.record(3, later(2), read("trading", later(2), BTC="5"))


@pytest.mark.parametrize(("seconds", "hours"), [(None, 2), (60, 2), (3600, 2), (14400, 8)])
def test_an_account_is_known_for_two_intervals(seconds: int | None, hours: int) -> None:
    """And for two hours at least."""
    assert fresh_for(Pace(ACCOUNT, seconds, 0, None)) == timedelta(hours=hours)
    assert fresh_for(None) == LIMIT


OUTCOMES = st.lists(
    st.tuples(
        st.integers(1, 6),
        st.floats(-0.5, 0.5),
        st.sampled_from([failed("trading"), read("trading", START), read("trading", START, BTC="1")]),
    ),
    max_size=20,
)


@given(OUTCOMES)
def test_replayed_and_late_outcomes_begin_none(outcomes: list[tuple[int, float, WalletRead]]) -> None:
    """In any order: only a sync with a higher number does, and no snapshot begins before the one before."""
    recorder, highest = Recorder(), 0
    for number, skew, said in outcomes:
        at = later(number * 0.1 + skew)
        moved = msgspec.structs.replace(said, as_of=at) if said.as_of else said
        began = recorder.record(number, at, moved)
        assert not began or number > highest
        highest = max(highest, number)
        assert not recorder.record(number, at, moved)

    assert recorder.begun == sorted(set(recorder.begun))
    assert all(until <= since for until, since in zip(recorder.until[1:], recorder.begun[1:], strict=True))
    assert all(since <= until for since, until in zip(recorder.begun, recorder.until[1:], strict=False))


def test_digests_are_of_one_account() -> None:
    """A group of syncs is compared account by account."""
    other = UUID(int=8)
    wallet = StoredWallet("trading", START, None, None, None, 1)
    listed = [StoredBalance("BTC", Decimal(1), wallet="trading")]
    stored = Stored({Place(other, "trading"): wallet}, {Place(other, "trading"): listed})

    found = changes([ACCOUNT, other], stored, {}, {})

    assert found[ACCOUNT] == Change({}, {}, [], set())
    assert found[other].listed == listed
    assert facts_of(found[ACCOUNT]) != facts_of(found[other])

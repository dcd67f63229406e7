"""The sums of closes say what their contents say, to the last digit and reason, or nothing."""

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from contracts.faults import Code
from gateway.accounts.history import Shown
from gateway.http.history_views import PointView, history_view
from gateway.portfolio.grid import Interval
from gateway.portfolio.history import History, Then, no_point
from gateway.portfolio.sums import sum_of, thens
from gateway.portfolio.values import PriceRecord
from gateway.rows.closes import Closed, ClosedDay
from gateway.rows.prices import Method, PriceCode
from gateway.rows.restores import Restore
from gateway.rows.snapshots import Amount, Content, Past, Snapshot, WalletPart
from tests.gateway.portfolio.test_history import START, record

DAYS = 4
STATES = ("fresh", "stale", "incomplete", "never_read", "of_a_later_release")
CODES = (None, PriceCode.MANUAL, PriceCode.THIN, PriceCode.DISPUTED, "of_a_later_release")
METHODS = (Method.CROSS, Method.MANUAL, Method.PEG, Method.LAST_KNOWN, Method.UNIT)
NUMBERS = st.decimals(-1000, 1000, places=6)


def end(day: int) -> datetime:
    """Return the end of a day."""
    return START + timedelta(days=day)


@st.composite
def prices(draw: st.DrawFn, at: datetime) -> PriceRecord:
    """Return a price of the time before, or none."""
    if draw(st.booleans()):
        return PriceRecord(None, code=PriceCode.UNPRICED)
    observed = at - timedelta(minutes=draw(st.sampled_from([0, 10, 30, 60 * 24 + 1])))
    kept = record(str(draw(st.decimals("0.001", 1000, places=3))), observed, draw(st.sampled_from(METHODS)))
    return msgspec.structs.replace(kept, code=draw(st.sampled_from(CODES)))


@st.composite
def contents(draw: st.DrawFn, at: datetime) -> Content:
    """Return what an account held at a time, in any state."""
    wallets = tuple(
        WalletPart(name, state, at - timedelta(hours=1), Code.EXCHANGE_TIMEOUT, draw(st.booleans()))
        for name in ("trading", "funding")
        for state in [draw(st.sampled_from(STATES))]
    )
    assets = draw(st.sets(st.sampled_from(["BTC", "ETH", "ODD"])))
    amounts = tuple(
        Amount(
            wallet,
            asset,
            draw(NUMBERS),
            borrowed=draw(st.none() | st.just(Decimal(1))),
            stale_as_of=draw(st.none() | st.just(at - timedelta(hours=3))),
        )
        for asset in sorted(assets)
        for wallet in draw(st.sets(st.sampled_from(["trading", "funding"]), min_size=1))
    )
    return Content(wallets, amounts, {asset: draw(prices(at)) for asset in assets})


@st.composite
def accounts(draw: st.DrawFn, number: int) -> Past:
    """Return an account with closes from some day on; days may lack."""
    first, created = draw(st.integers(0, DAYS)), draw(st.integers(-1, DAYS))
    lacking = draw(st.just(set[int]()) | st.sets(st.integers(0, DAYS), max_size=1))
    closes = [
        Snapshot(
            UUID(int=number * 100 + day),
            end(day),
            end(day) - timedelta(hours=draw(st.sampled_from([0, 1, 5]))),
            7200,
            draw(contents(end(day))),
            end(day).date(),
        )
        for day in range(first, DAYS)
        if day not in lacking
    ]
    return Past(UUID(int=number), "Main", "okx", end(created), None, closes, None, [])


def narrow(of: Past, first: int) -> Closed:
    """Return an account with the sums that are written with its closes, from a day on."""
    history = History([of], no_point)
    days = []
    for close in of.ended:
        (then,) = history.at(close.since).accounts
        assert then.values is not None
        assert close.day is not None
        written = msgspec.json.encode(sum_of(then.values))
        found = msgspec.json.decode(written, type=type(sum_of(then.values)))
        days.append(ClosedDay(close.day, close.since, close.until, close.fresh_seconds, found))
    kept = [each for each in days if each.at >= end(first)]
    return Closed(of.account_id, of.name, of.exchange, of.created_at, len(kept) < len(days), kept)


def points(found: list[Then]) -> tuple[PointView, ...]:
    """Return what a user sees."""
    return history_view(Shown("USD", [(then, None) for then in found]), Interval.DAY).points


@given(st.tuples(accounts(1), accounts(2)), st.integers(0, DAYS - 1))
def test_a_daily_history_by_sums_is_the_one_by_contents(pasts: tuple[Past, Past], first: int) -> None:
    """Whatever was held, read and priced; where a day lacks its close, the contents are asked for."""
    times = [end(day) for day in range(first, DAYS)]

    found = thens([narrow(each, first) for each in pasts], times, [])

    by_content = History(pasts, no_point)
    lacks = any(
        any(each.since < time for each in past.ended) and time not in {each.since for each in past.ended}
        for past in pasts
        for time in times
    )
    assert (found is None) == lacks
    if found is not None:
        assert points(found) == points([by_content.at(time) for time in times])


@given(accounts(1))
def test_what_only_contents_can_say_is_not_said_by_sums(past: Past) -> None:
    """After a restore that may have lost a newer state, and of a close without a sum."""
    times = [end(day) for day in range(DAYS)]
    restore = Restore(restored_at=end(DAYS), database_at=end(-1))
    without = narrow(past, 0)
    days = [ClosedDay(each.day, each.at, each.until, each.fresh_seconds, None) for each in without.days]

    if past.ended:
        assert thens([narrow(past, 0)], times, [restore]) is None
        assert thens([msgspec.structs.replace(without, days=days)], times, []) is None

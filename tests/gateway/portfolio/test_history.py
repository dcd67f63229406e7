"""The past is what was known then: a gap is a gap, and nothing is carried on without its mark."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.faults import Code
from gateway.portfolio.grid import Interval, count
from gateway.portfolio.grid import hours as hours_of
from gateway.portfolio.history import History, State, Then, price_then
from gateway.portfolio.values import DoubtCode, PriceRecord
from gateway.rows.balances import StoredWallet
from gateway.rows.prices import ManualSpan, Method
from gateway.rows.restores import Restore
from gateway.rows.snapshots import Amount, Content, Holding, Past, Snapshot, WalletPart

START = datetime(2026, 11, 28, tzinfo=UTC)
LIMIT = 7200


def hours(number: float) -> datetime:
    """Return a time after the start."""
    return START + timedelta(hours=number)


def record(value: str, at: datetime, method: str = Method.CROSS) -> PriceRecord:
    """Return a price."""
    return PriceRecord(Decimal(value), method, "okx", at)


def content(
    since: datetime, state: str = "fresh", price: PriceRecord | None = None, **amounts: str
) -> Content:
    """Return what an account with one wallet held; an asset has the price that is given, or none."""
    wallet = WalletPart("trading", state, since, None if state == "fresh" else Code.EXCHANGE_TIMEOUT)
    return Content(
        (wallet,),
        tuple(Amount("trading", asset, Decimal(amount)) for asset, amount in amounts.items()),
        {asset: price or PriceRecord(None) for asset in amounts},
    )


def snapshot(since: float, until: float, of: Content) -> Snapshot:
    """Return an ended snapshot."""
    return Snapshot(UUID(int=int(since * 60) + 1), hours(since), hours(until), LIMIT, of)


def past(*ended: Snapshot, account: int = 1, created: float = 0) -> Past:
    """Return an account."""
    return Past(UUID(int=account), "Main", "okx", hours(created), 3600, list(ended), None, [])


def told(then: Then) -> tuple[str, str | None]:
    """Return the state and the total."""
    return then.state, None if then.worth.total is None else str(then.worth.total)


def every_hour(_exchange: str, asset: str, time: datetime) -> PriceRecord | None:
    """Return a price of 10 a minute before each hour, of one asset only."""
    return record("10", time - timedelta(minutes=1)) if asset == "BTC" else None


def test_a_stale_stretch_is_marked_and_a_gap_is_a_gap() -> None:
    """Nothing is known before the first snapshot; an amount is carried on with its time and mark."""
    ended = snapshot(1, 2, content(hours(1), BTC="1")), snapshot(8, 9, content(hours(8), BTC="2"))
    history = History([past(*ended)], every_hour)

    found = [told(history.at(hours(number))) for number in range(12)]

    fresh, stale = (State.FRESH, State.STALE)
    assert found == [
        (State.UNKNOWN, None),
        *[(fresh, "10")] * 4,
        *[(stale, "10")] * 3,
        *[(fresh, "20")] * 4,
    ]
    assert history.at(hours(0)).codes == ("account_unread",)
    carried = history.at(hours(6))
    assert (carried.codes, carried.worth.balances_as_of) == (("balances_old",), hours(2))


@pytest.mark.parametrize("state", ["stale", "incomplete", "never_read", "of_a_later_release"])
def test_a_wallet_that_was_not_whole_is_not_fresh(state: str) -> None:
    """Whatever the prices are."""
    history = History([past(snapshot(0, 5, content(hours(0), state, BTC="1")))], every_hour)

    assert told(history.at(hours(1))) == (State.STALE, "10")


def test_an_unpriced_asset_is_not_worth_zero() -> None:
    """Beside others it makes the sum stale; alone, nothing is known."""
    one = past(snapshot(0, 5, content(hours(0), BTC="1", ODD="1")))
    other = past(snapshot(0, 5, content(hours(0), ODD="1")))

    assert told(History([one], every_hour).at(hours(1))) == (State.STALE, "10")
    assert told(History([other], every_hour).at(hours(1))) == (State.UNKNOWN, None)
    assert told(History([one], every_hour, "BTC").at(hours(1))) == (State.FRESH, "10")


def test_an_account_that_is_not_read_yet_makes_the_sum_stale() -> None:
    """From its connection on; before that it was no part of it."""
    one = past(snapshot(0, 9, content(hours(0), BTC="1")))
    two = past(snapshot(6, 9, content(hours(6), BTC="1")), account=2, created=3)
    history = History([one, two], every_hour)

    found = [told(history.at(hours(number))) for number in (2, 4, 7)]

    assert found == [(State.FRESH, "10"), (State.STALE, "10"), (State.FRESH, "20")]


def test_the_snapshot_that_holds_is_confirmed_by_the_stored_wallets() -> None:
    """Its syncs write nothing else. Two intervals after the last one it is old."""
    wallet = StoredWallet("trading", hours(4), None, None, None, 9)
    held = Holding(UUID(int=9), hours(1), content(hours(1), BTC="1"))
    history = History(
        [Past(UUID(int=1), "Main", "okx", START, 3600, [], held, [wallet])],
        every_hour,
    )

    assert [told(history.at(hours(number)))[0] for number in (1, 6, 6.1)] == ["fresh", "fresh", "stale"]


def test_no_price_is_later_than_its_time() -> None:
    """The newest that is not later counts, and after a day there is none; the user's own is timeless."""
    kept, point = record("1", hours(1)), record("2", hours(2))

    assert price_then(hours(0.5), kept, point).value is None
    assert price_then(hours(1.5), kept, point).value == 1
    new, old = price_then(hours(2), kept, point), price_then(hours(3), kept, point)
    assert new.value == old.value == 2
    assert (new.method, old.method, old.observed_at) == ("cross", "last_known", hours(2))
    assert price_then(hours(26.1), kept, point).value is None
    manual = record("7", hours(5), Method.MANUAL)
    assert price_then(hours(99), manual, point).value == 7


def test_a_price_by_hand_counts_only_while_it_was_set() -> None:
    """Before and after, the market's counts, whatever the snapshot says; USD is worth itself."""
    first = ManualSpan("BTC", Decimal(7), hours(1), hours(2))
    second = ManualSpan("BTC", Decimal(8), hours(3), None)
    kept, point = record("7", hours(1), Method.MANUAL), record("2", hours(0))

    def price(hour: float) -> tuple[str | None, str | None, str | None]:
        found = price_then(hours(hour), kept, point, (first, second))
        return str(found.value), found.method, found.code

    by_hand = ("7", "manual", "price_manual")
    assert [price(hour) for hour in (0, 1, 1.9)] == [("2", "cross", None), by_hand, by_hand]
    assert price(2) == ("2", "last_known", "last_known")
    assert [price(hour)[0] for hour in (3, 99)] == ["8", "8"]
    earlier = record("5", hours(-1), Method.MANUAL)
    later = [price_then(hours(hour), earlier, point, (first, second)).value for hour in (0, 1, 2, 3)]
    assert later == [Decimal(each) for each in (5, 7, 2, 8)]  # one that was replaced never comes back
    unit = PriceRecord(Decimal(1), Method.UNIT)
    assert price_then(hours(1), unit, None, (first,)).value == 1


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=8), st.integers(0, 20))
def test_the_price_that_counted_is_the_last_one_set_until_it_was_deleted(
    acts: list[tuple[int, bool]], hour: int
) -> None:
    """Whatever was set and deleted, in whatever order: only what came before counts."""
    spans: list[ManualSpan] = []
    expected: Decimal | None = None
    for number, (at, is_set) in enumerate(sorted(acts)):
        if spans and spans[-1].until is None:
            spans[-1] = msgspec.structs.replace(spans[-1], until=hours(at))
        if is_set:
            spans.append(ManualSpan("BTC", Decimal(number), hours(at), None))
        if at <= hour:
            expected = Decimal(number) if is_set else None

    assert price_then(hours(hour), None, None, spans).value == expected


class Counted(Sequence[ManualSpan]):
    """Spans that count how many of them were looked at."""

    def __init__(self, spans: list[ManualSpan]) -> None:
        self._spans, self.looks = spans, 0

    def __len__(self) -> int:
        return len(self._spans)

    def __getitem__(self, number: Any) -> Any:
        self.looks += 1
        return self._spans[number]


def test_a_price_by_hand_is_found_among_a_thousand() -> None:
    """A history asks for each balance at each hour, so a user who sets prices often costs no more."""
    ended = [ManualSpan("BTC", Decimal(each), hours(each), hours(each + 0.5)) for each in range(1000)]
    spans, kept = Counted(ended), record("7", hours(-1), Method.MANUAL)

    found = [price_then(hours(hour), kept, None, spans).value for hour in (0.1, 0.6, 999.1, 999.6, -0.5)]

    assert found == [0, None, 999, None, 7]
    assert spans.looks < 200


def test_a_price_of_a_clock_that_was_set_back_hides_no_other() -> None:
    """It ended as it began, in the future of the one that replaced it."""
    replaced = ManualSpan("BTC", Decimal(9), hours(5), hours(5))
    spans = (ManualSpan("BTC", Decimal(8), hours(1), None), replaced)

    assert price_then(hours(6), None, None, spans).value == 8


def test_what_a_restore_may_have_lost_is_marked() -> None:
    """Times after the moment of the backup are, until a sync has confirmed what is known."""
    lost = Restore(restored_at=hours(6), database_at=hours(4))
    early, late = snapshot(0, 4, content(hours(0), BTC="1")), snapshot(8, 9, content(hours(8), BTC="2"))
    history = History([past(early, late)], every_hour, restores=[lost])
    confirmed = History([past(snapshot(0, 7, content(hours(0), BTC="1")))], every_hour, restores=[lost])

    marked = [DoubtCode.RESTORED in history.at(hours(hour)).codes for hour in range(10)]
    assert marked == [False] * 4 + [True] * 4 + [False] * 2
    assert [DoubtCode.RESTORED in confirmed.at(hours(hour)).codes for hour in range(3, 9)] == [
        *(False, True, True, False, False, False)
    ]
    assert told(confirmed.at(hours(5))) == (State.STALE, "10")
    assert told(confirmed.at(hours(7))) == (State.FRESH, "10")


@pytest.mark.parametrize(
    ("first", "last", "points"),
    [
        (hours(0.5), hours(3), [hours(1), hours(2), hours(3)]),
        (hours(0.1), hours(0.9), []),
    ],
)
def test_points_are_full_hours(first: datetime, last: datetime, points: list[datetime]) -> None:
    """Both ends included."""
    assert hours_of(first, last) == points
    assert count(first, last, Interval.HOUR) >= len(points)

"""What moved a worth is split exactly: quantity, price, coverage, and prices that are known at one end."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.portfolio.attribution import Attribution, Mover, attribution
from gateway.portfolio.history import History, PointOf
from gateway.portfolio.values import PriceRecord, exact_sum
from gateway.rows.snapshots import Amount, Content, Past, Snapshot, WalletPart
from tests.gateway.portfolio.test_history import LIMIT, hours, past, record

ASSETS, WALLETS = ("BTC", "ETH", "ODD"), ("trading", "funding")
START, END = hours(1), hours(9)
NUMBERS = st.decimals(-100, 100, places=8)
PRICES = st.dictionaries(st.sampled_from(ASSETS), st.decimals("0.0001", 100_000, places=4))
KEPT = st.dictionaries(st.sampled_from(ASSETS), st.decimals("0.0001", 100_000, places=4), max_size=1)
HELD = st.dictionaries(st.tuples(st.sampled_from(WALLETS), st.sampled_from(ASSETS)), NUMBERS)
UNREAD = st.sets(st.sampled_from(WALLETS), max_size=1)
Held = Mapping[tuple[str, str], Decimal]


def content(held: Held, unread: set[str], kept: Mapping[str, Decimal], since: datetime) -> Content:
    """Return what the two wallets of an account held; one that was never read holds nothing."""
    states = {name: "never_read" if name in unread else "fresh" for name in WALLETS}
    wallets = tuple(WalletPart(name, state, since) for name, state in states.items())
    amounts = tuple(
        Amount(wallet, asset, quantity) for (wallet, asset), quantity in held.items() if wallet not in unread
    )
    return Content(wallets, amounts, {asset: record(str(value), since) for asset, value in kept.items()})


@st.composite
def accounts(draw: st.DrawFn, number: int) -> Past:
    """Return an account that may have been read for the first time after the start."""
    since = draw(st.sampled_from([0.5, 5]))
    ended = [
        Snapshot(
            UUID(int=number * 10 + place),
            hours(at),
            hours(at + 1),
            LIMIT,
            content(draw(HELD), draw(UNREAD), draw(KEPT), hours(at)),
        )
        for place, at in enumerate((since, 8.5))
    ]
    return past(*ended, account=number)


def priced(before: Mapping[str, Decimal], after: Mapping[str, Decimal]) -> PointOf:
    """Return what finds the prices of both times."""

    def point(_exchange: str, asset: str, time: datetime) -> PriceRecord | None:
        value = (before if time == START else after).get(asset)
        return None if value is None else record(str(value), time)

    return point


def found(pasts: list[Past], before: Mapping[str, Decimal], after: Mapping[str, Decimal]) -> Attribution:
    """Return what moved the worth of accounts."""
    history = History(pasts, priced(before, after))
    return attribution(history.at(START), history.at(END))


@given(st.tuples(accounts(1), accounts(2)), PRICES, PRICES)
def test_the_parts_are_the_difference_of_both_totals(
    pasts: tuple[Past, Past], before: dict[str, Decimal], after: dict[str, Decimal]
) -> None:
    """Exactly, whatever was held, read and priced; and so are those of the assets."""
    moved = found([*pasts], before, after)
    start, end = moved.before.worth.total, moved.after.worth.total

    assume(start is not None and end is not None)
    assert start is not None
    assert end is not None
    assert moved.change == end - start
    assert exact_sum(moved.parts.values()) == end - start
    for mover in Mover:
        by_asset = exact_sum([each.parts.get(mover, Decimal()) for each in moved.moves])
        assert by_asset == moved.parts.get(mover, Decimal())


@given(HELD, HELD, PRICES, PRICES)
def test_an_asset_without_a_price_at_one_time_is_named_and_not_worth_zero(
    one: Held, other: Held, before: dict[str, Decimal], after: dict[str, Decimal]
) -> None:
    """Neither its quantity nor its price is said to have moved the worth."""
    account = past(
        Snapshot(UUID(int=1), hours(0), hours(2), LIMIT, content(one, set(), {}, hours(0))),
        Snapshot(UUID(int=2), hours(8), hours(9), LIMIT, content(other, set(), {}, hours(8))),
    )

    moved = found([account], before, after)

    for worth in (moved.before.worth, moved.after.worth):
        assert {*worth.unpriced} <= {each.asset for each in moved.moves}
    for each in moved.moves:
        for end, worth in ((each.before, moved.before.worth), (each.after, moved.after.worth)):
            assert end is not None
            if each.asset in worth.unpriced:
                assert end.value is None
                assert not {*each.parts} - {Mover.UNPRICED}


def moved(old: str, new: str, before: str, after: str) -> dict[str, str]:
    """Return the parts of one asset in an account whose wallets were read at both times."""
    account = past(
        Snapshot(
            UUID(int=1),
            hours(0),
            hours(2),
            LIMIT,
            content({("trading", "BTC"): Decimal(old)}, set(), {}, hours(0)),
        ),
        Snapshot(
            UUID(int=2),
            hours(8),
            hours(9),
            LIMIT,
            content({("funding", "BTC"): Decimal(new)}, set(), {}, hours(8)),
        ),
    )
    of = found([account], {"BTC": Decimal(before)}, {"BTC": Decimal(after)})
    return {str(mover): str(change) for mover, change in of.parts.items()}


def test_each_cause_has_its_part() -> None:
    """A move between wallets is none; what came counts by the later price, what went by the earlier one."""
    assert moved("2", "2", "10", "10") == {}
    assert moved("2", "2", "10", "15") == {"price": "10"}
    assert moved("2", "3", "10", "15") == {"quantity": "15", "price": "10"}
    assert moved("3", "2", "10", "15") == {"quantity": "-10", "price": "10"}
    assert moved("0", "2", "10", "15") == {"quantity": "30"}
    assert moved("2", "0", "10", "15") == {"quantity": "-20"}
    assert moved("-2", "-2", "10", "15") == {"price": "-10"}
    assert moved("1", "-1", "10", "15") == {"quantity": "-25"}


def test_an_asset_is_not_zero_where_no_wallet_that_holds_it_was_known() -> None:
    """Another wallet of the account was read then, which says nothing about this one."""
    one, both = (
        {("trading", "ETH"): Decimal(1)},
        {("trading", "ETH"): Decimal(1), ("funding", "BTC"): Decimal(5)},
    )
    account = past(
        Snapshot(UUID(int=1), hours(0), hours(2), LIMIT, content(one, {"funding"}, {}, hours(0))),
        Snapshot(UUID(int=2), hours(8), hours(9), LIMIT, content(both, set(), {}, hours(8))),
    )

    of = found([account], {"BTC": Decimal(10), "ETH": Decimal(1)}, {"BTC": Decimal(15), "ETH": Decimal(1)})

    (moved_one,) = of.moves
    assert (moved_one.asset, moved_one.before) == ("BTC", None)
    assert moved_one.parts == {Mover.COVERAGE: 75}
    assert moved_one.after is not None
    assert moved_one.after.quantity == 5


def test_what_was_not_read_before_is_coverage() -> None:
    """Of an account that was not read yet, nothing is said to have come."""
    late = past(
        Snapshot(
            UUID(int=1),
            hours(8),
            hours(9),
            LIMIT,
            content({("trading", "BTC"): Decimal(1)}, set(), {}, hours(8)),
        ),
        account=2,
    )
    early = past(
        Snapshot(
            UUID(int=2),
            hours(0),
            hours(9),
            LIMIT,
            content({("trading", "BTC"): Decimal(1)}, set(), {}, hours(0)),
        ),
    )

    both = found([early, late], {"BTC": Decimal(10)}, {"BTC": Decimal(15)})
    alone = found([late], {"BTC": Decimal(10)}, {"BTC": Decimal(15)})

    assert both.parts == {Mover.PRICE: 5, Mover.COVERAGE: 15}
    assert (alone.change, alone.parts) == (None, {})
    assert [(each.asset, dict(each.parts)) for each in alone.moves] == [
        ("BTC", {Mover.COVERAGE: Decimal(15)})
    ]


@given(st.tuples(accounts(1), accounts(2)), PRICES, PRICES)
def test_a_joined_or_split_asset_moved_by_its_mapping_and_the_parts_stay_the_whole(
    pasts: tuple[Past, Past], before: dict[str, Decimal], after: dict[str, Decimal]
) -> None:
    """Another price counts since then; increases and decreases still count as quantity."""
    history = History([*pasts], priced(before, after))
    plain = attribution(history.at(START), history.at(END))
    mapped = attribution(history.at(START), history.at(END), {"BTC"})

    assert mapped.change == plain.change
    for one, other in zip(plain.moves, mapped.moves, strict=True):
        assert exact_sum(one.parts.values()) == exact_sum(other.parts.values())
        price, mapping = (Mover.PRICE, Mover.MAPPING) if one.asset == "BTC" else (Mover.MAPPING, Mover.PRICE)
        assert price not in other.parts
        assert other.parts.get(mapping) == one.parts.get(Mover.PRICE)

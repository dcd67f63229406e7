"""Equal names are one asset by the table, by a user, or by prices; never by a guess or for a moment."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.assets import ASSETS, DECIDED, DISTINCT, EVERYWHERE
from contracts.exchanges import EXCHANGES
from contracts.prices import IndexPrice, PricesRead, Quote
from gateway.portfolio.grouping import groups_of, regrouped
from gateway.portfolio.identity import Apart, Asset, Identity, compared, names_of
from gateway.portfolio.markets import Market
from gateway.portfolio.prices import derived, rates_of_pegs
from gateway.portfolio.values import Valued, exact_sum, values_of
from gateway.prices.book import Book
from gateway.prices.readings import Reading
from gateway.rows.assets import Choice, Match, Names
from gateway.rows.balances import StoredBalance
from gateway.rows.prices import Known, Manual, Method, Price, PriceCode

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MATCHED = Match("FOO", "binance", "okx", matched_at=NOW - MINUTE)
PRICES = st.one_of(st.none(), st.decimals("0.5", "2", places=2))


def reading(exchange: str, **prices: str) -> Reading:
    """Return a reading of an exchange with trades against USDT at 1 USD."""
    quotes = tuple(
        Quote(name.replace("_", ""), "USDT", last, last, last, "1000", NOW) for name, last in prices.items()
    )
    indexes = (IndexPrice("USDT", "USD", "1", NOW),) if exchange == "okx" else ()
    read = PricesRead(exchange, UUID(int=1), NOW, quotes, indexes, has_volumes=exchange == "okx")
    market = Market(read, NOW)
    return Reading(UUID(int=1), read, market, derived(market, {}, {"USDT": Price(Decimal(1), "peg", NOW)}))


def known(value: Decimal | None, at: datetime = NOW) -> dict[str, Known]:
    """Return the findings of an exchange about FOO."""
    return {"FOO": Known() if value is None else Known(Price(value, Method.CROSS, at))}


def identity(*matches: Match, choices: tuple[Choice, ...] = ()) -> Identity:
    """Return the identity of names now."""
    return Identity(Names(list(matches), list(choices)), NOW)


def test_the_table_names_exchanges_that_exist_and_assets_that_they_can_have() -> None:
    """Units are powers of ten, so that prices and quantities are scaled exactly."""
    for (exchange, name), mapped in ASSETS.items():
        assert EXCHANGES[exchange].names_asset(name)
        assert isinstance(mapped.power, int)
    assert {*EVERYWHERE} <= {*EXCHANGES}
    assert not DISTINCT & {name for _, name in ASSETS}


def test_a_mapped_name_is_one_asset_without_any_price() -> None:
    """The table knows it."""
    assert identity().of("okx", "BTC") == identity().of("binance", "BTC") == Asset("BTC")


def test_a_unit_of_the_table_is_scaled_exactly() -> None:
    """1 1000SATS is 1000 SATS: the quantity grows, the price shrinks, the value stays."""
    book = Book([reading("binance", _1000SATS="0.000123")], {}, NOW)
    listed = [StoredBalance("1000SATS", Decimal("1.5"), borrowed=Decimal("0.1"), wallet="spot")]
    groups = groups_of([("binance", "1000SATS"), ("okx", "SATS")], book.identity)

    raw = values_of(listed, book.at("binance"))
    (part,) = regrouped("binance", raw, groups)

    assert (part.asset, part.quantity, part.borrowed) == ("SATS", Decimal(1500), Decimal(100))
    assert part.price.value == Decimal("0.000000123") == book.at("okx")("SATS").value
    assert raw[0].price.value == Decimal("0.000123")
    assert raw[0].value == part.value == Decimal("0.0001845")
    assert names_of(Asset("SATS"), "binance") == (("1000SATS", 3),)


def test_unmapped_names_are_two_assets_until_both_prices_were_near() -> None:
    """Each has the price of its own exchange, and none has the other's."""
    book = Book([reading("okx", FOO="1"), reading("binance", FOO="30")], {}, NOW)

    assert (book.at("okx")("FOO").value, book.at("binance")("FOO").value) == (Decimal(1), Decimal(30))
    assert book.identity.apart("FOO") is Apart.UNCOMPARED
    only = Book([reading("okx", FOO="1"), reading("binance")], {}, NOW)
    assert only.at("binance")("FOO").value is None


@pytest.mark.parametrize(
    ("one", "other", "is_one"), [("1", "1.2", True), ("1.2", "1", True), ("1", "1.21", False)]
)
def test_prices_within_20_percent_match(one: str, other: str, *, is_one: bool) -> None:
    """The lower of both counts as the whole, so that the order of exchanges does not matter."""
    (match,) = compared({"okx": known(Decimal(one)), "binance": known(Decimal(other))}, [], NOW)

    assert Identity(Names([match]), NOW).is_one("FOO") is is_one


@given(st.lists(st.tuples(PRICES, PRICES), max_size=12))
def test_split_names_stay_split_and_a_missing_price_changes_nothing(
    pairs: list[tuple[Decimal | None, Decimal | None]],
) -> None:
    """It is one asset from the first near pair of prices on, until the first pair that is not near."""
    matches: list[Match] = []
    was_near = was_far = False
    for minutes, (one, other) in enumerate(pairs):
        now = NOW + minutes * MINUTE
        found = compared({"okx": known(one, now), "binance": known(other, now)}, matches, now)
        matches = found or matches
        if one is not None and other is not None:
            is_near = abs(one - other) <= min(one, other) * Decimal("0.2")
            was_near, was_far = was_near or is_near, was_far or not is_near
        assert Identity(Names(matches), now).is_one("FOO") is (was_near and not was_far)


@pytest.mark.parametrize("code", [PriceCode.THIN, PriceCode.IMPLAUSIBLE, PriceCode.LAST_KNOWN])
def test_a_doubtful_or_old_price_neither_joins_nor_splits(code: str) -> None:
    """One wrong trade would split a name for good."""
    doubtful = {"FOO": Known(Price(Decimal(9), Method.CROSS, NOW), code)}

    assert compared({"okx": known(Decimal(1)), "binance": doubtful}, [], NOW) == []
    old = known(Decimal(9), NOW - 16 * MINUTE)
    assert compared({"okx": known(Decimal(1)), "binance": old}, [MATCHED], NOW) == []


def test_a_price_that_is_assumed_or_lent_joins_nothing() -> None:
    """An exchange without indexes has each pegged coin at its face value, or at the rate of the other one."""
    read = PricesRead("okx", UUID(int=1), NOW, (), (IndexPrice("USDG", "USD", "0.9991", NOW),))
    market = Market(read, NOW)
    lending = derived(market, {})
    lent = derived(reading("binance", FOO="1").market, {}, rates_of_pegs(market, lending, NOW))

    assert lent["USDG"].price is not None
    assert lent["RLUSD"].code == lending["RLUSD"].code == PriceCode.PEG_UNOBSERVED
    assert compared({"okx": lending, "binance": lent}, (), NOW) == []


def test_prices_say_nothing_about_names_that_the_table_decides() -> None:
    """The tokens of both exchanges for staked ether cost the same."""
    prices = {"BETH": Known(Price(Decimal(3000), Method.CROSS, NOW))}

    assert "BETH" in DECIDED
    assert compared({"okx": prices, "binance": prices}, [], NOW) == []
    joined = identity(choices=(Choice("BETH", joined=True, since=NOW, was_joined=False),))
    assert joined.of("okx", "BETH") == Asset("BETH", "okx")
    assert joined.apart("BETH") is Apart.BY_TABLE


def test_the_user_decides_before_prices_and_from_then_on() -> None:
    """Before the decision, the earlier state counts."""
    far = Match("FOO", "binance", "okx", split_at=NOW - 2 * MINUTE)
    joined = Names([far], [Choice("FOO", joined=True, since=NOW - MINUTE, was_joined=False)])

    assert Identity(joined, NOW).is_one("FOO")
    assert not Identity(joined, NOW - 2 * MINUTE + MINUTE / 2).is_one("FOO")
    split = identity(MATCHED, choices=(Choice("FOO", joined=False, since=NOW, was_joined=True),))
    assert (split.is_one("FOO"), split.apart("FOO")) == (False, Apart.BY_USER)


def test_one_asset_has_one_price_at_all_exchanges_and_says_when_they_differ() -> None:
    """The order of the readings does not matter."""
    okx, binance = reading("okx", FOO="1", BTC="100"), reading("binance", FOO="1.03", BTC="101")

    for last in ([okx, binance], [binance, okx]):
        book = Book(last, {}, NOW, identity=identity(MATCHED))
        price = book.at("binance")("FOO")
        assert price == book.at("okx")("FOO")
        assert (price.value, price.source, price.code) == (Decimal(1), "okx", PriceCode.DISPUTED)
        assert (book.at("okx")("BTC").value, book.at("okx")("BTC").code) == (Decimal(100), None)


@given(st.dictionaries(st.sampled_from(["okx", "binance"]), st.decimals("0.5", "2", places=3)))
def test_a_price_is_disputed_if_sources_differ_by_more_than_2_percent(prices: Mapping[str, Decimal]) -> None:
    """Else it is the one of the exchange with indexes, if that has one."""
    last = [reading(exchange, BTC=str(price)) for exchange, price in prices.items()]

    price = Book(last, {}, NOW).at("okx")("BTC")

    values = list(prices.values())
    assert price.value == prices.get("okx", prices.get("binance"))
    differs = bool(values) and max(values) - min(values) > min(values) * Decimal("0.02")
    assert (price.code == PriceCode.DISPUTED) is differs


def test_a_price_by_hand_of_a_bare_name_is_not_for_two_coins() -> None:
    """It counts wherever the name is one asset, or nothing says that it is not."""
    own = {"FOO": Manual(Decimal(7), NOW), "BAR@okx": Manual(Decimal(8), NOW)}
    split = Match("FOO", "binance", "okx", split_at=NOW)
    last = [reading("okx", FOO="1"), reading("binance", FOO="2")]

    assert Book(last, own, NOW).at("okx")("FOO").value == Decimal(7)
    assert Book(last, own, NOW, identity=identity(MATCHED)).at("binance")("FOO").value == Decimal(7)
    assert Book(last, own, NOW, identity=identity(split)).at("binance")("FOO").value == Decimal(2)
    assert Book(last, own, NOW).at("okx")("BAR").value == Decimal(8)
    assert Book(last, own, NOW).at("binance")("BAR").value is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["okx", "binance"]),
            st.sampled_from(["BTC", "FOO", "1000SATS", "SATS", "BETH"]),
            st.decimals("-1e20", "1e20", places=20),
        ),
        max_size=10,
    ),
    st.sampled_from([None, MATCHED]),
)
def test_a_regrouped_portfolio_has_the_same_sum(
    rows: list[tuple[str, str, Decimal]], match: Match | None
) -> None:
    """No value moves, and no text stands for two assets."""
    last = [
        reading("okx", BTC="64000", FOO="1", SATS="0.0000001"),
        reading("binance", BTC="64010", FOO="1.1", _1000SATS="0.0001", BETH="3000"),
    ]
    book = Book(last, {}, NOW, identity=identity(*([match] if match else [])))
    groups = groups_of([row[:2] for row in rows], book.identity)
    raw: list[Decimal] = []
    new: list[Valued] = []
    for exchange, name, quantity in rows:
        parts = values_of([StoredBalance(name, quantity, wallet="w")], book.at(exchange))
        raw += [part.value for part in parts if part.value is not None]
        new += regrouped(exchange, parts, groups)

    assert exact_sum(raw) == exact_sum([part.value for part in new if part.value is not None])
    keys = {(group.text, group.asset.key) for group in groups.values()}
    assert len(keys) == len({text for text, _ in keys}) == len({key for _, key in keys})
    assert all(group.apart is not None for group in groups.values() if "@" in group.text)

"""The exchange's own valuation prices an asset of which no market is known, and no other."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.exchanges.okx import OKX
from contracts.prices import PricesRead, Quote
from contracts.syncs import TotalCheck, Verdict, WalletRead
from gateway.portfolio.holdings import summed
from gateway.portfolio.markets import Market
from gateway.portfolio.prices import derived
from gateway.portfolio.quoted import credible, newest
from gateway.portfolio.values import AccountValues, values_of, worth
from gateway.prices.book import Book
from gateway.prices.readings import Reading
from gateway.rows.balances import StoredBalance, StoredWallet
from gateway.rows.prices import Manual, Method, PriceCode
from gateway.rows.uncovered import QuotedList

NOW = datetime(2026, 11, 29, 1, tzinfo=UTC)
ID, OTHER = UUID(int=1), UUID(int=2)
ROWS = st.lists(
    st.tuples(st.sampled_from(OKX.covered_wallets), st.decimals("-1e20", "1e20", places=18)),
    max_size=6,
    unique_by=lambda row: row[0],
)
PRICES = st.decimals("1e-20", "1e20").filter(lambda price: price.is_finite() and price > 0)


def quoted(
    price: str, ago: timedelta = timedelta(0), account: UUID = ID, wallet: str = "trading"
) -> QuotedList:
    """Return the list of a wallet in which OKX values OLDT."""
    return QuotedList(account, "okx", wallet, NOW - ago, {"OLDT": Decimal(price)})


def reading(**prices: str) -> Reading:
    """Return a reading of last trades against USD."""
    quotes = tuple(Quote(asset, "USD", each, each, each, "1000", NOW) for asset, each in prices.items())
    read = PricesRead("okx", uuid4(), NOW, quotes, ())
    market = Market(read, NOW)
    return Reading(uuid4(), read, market, derived(market, {}))


def test_an_asset_without_a_market_is_worth_what_the_exchange_values_it_at() -> None:
    """The price says how it was found, by whom, and when: at the time of the list."""
    price = Book([reading(BTC="64000")], {}, NOW, [quoted("0.25", timedelta(minutes=5))]).price("OLDT")

    assert (price.value, price.method, price.source, price.code) == (
        Decimal("0.25"),
        Method.EXCHANGE_VALUED,
        "okx",
        None,
    )
    assert (price.observed_at, price.age) == (NOW - timedelta(minutes=5), timedelta(minutes=5))


def test_it_beats_neither_a_market_nor_a_price_by_hand() -> None:
    """Not even a market's last known price."""
    last, own = [reading(OLDT="0.5")], {"OLDT": Manual(Decimal(3), NOW)}
    hours = timedelta(hours=23)

    assert Book(last, {}, NOW, [quoted("0.25")]).price("OLDT").value == Decimal("0.5")
    assert Book(last, own, NOW, [quoted("0.25")]).price("OLDT").value == 3
    assert Book([], own, NOW, [quoted("0.25")]).price("OLDT").value == 3
    assert Book(last, {}, NOW + hours, [quoted("0.25", -hours)]).price("OLDT").value == Decimal("0.5")


@pytest.mark.parametrize(
    ("ago", "method", "code"),
    [
        (timedelta(minutes=15), Method.EXCHANGE_VALUED, None),
        (timedelta(minutes=16), Method.LAST_KNOWN, PriceCode.LAST_KNOWN),
        (timedelta(hours=24), Method.LAST_KNOWN, PriceCode.LAST_KNOWN),
        (timedelta(hours=24, seconds=1), None, PriceCode.UNPRICED),
    ],
)
def test_it_grows_old_as_every_price_does(ago: timedelta, method: str | None, code: str | None) -> None:
    """After 15 minutes it is the last known one, and after a day none: unknown, not zero."""
    price = Book([], {}, NOW, [quoted("0.25", ago)]).price("OLDT")

    assert (price.method, price.code) == (method, code)
    assert price.value == (None if method is None else Decimal("0.25"))


def test_the_newest_list_of_a_user_counts_for_all_wallets() -> None:
    """Whatever their order; of two of one moment it is always the same one."""
    lists = [
        quoted("1", timedelta(minutes=2)),
        quoted("2", timedelta(minutes=1), OTHER),
        quoted("3", timedelta(minutes=1), OTHER, "vault"),
    ]

    assert newest(lists, NOW)["OLDT"].price == newest(reversed(lists), NOW)["OLDT"].price == 3


def test_a_list_of_the_future_prices_nothing() -> None:
    """A clock was set back since it was recorded: a price that may be old would look new until then."""
    ahead, seen = quoted("9", timedelta(days=-30), OTHER), quoted("0.25")

    assert Book([], {}, NOW, [ahead, seen]).price("OLDT").value == Decimal("0.25")
    assert Book([], {}, NOW, [ahead]).price("OLDT").code == PriceCode.UNPRICED


def test_a_price_that_can_be_none_is_left_out() -> None:
    """Zero, negative, of no asset, or of a wallet that was not read."""
    prices = {"OLDT": Decimal("0.25"), "ZERO": Decimal(0), "LESS": Decimal(-1), "a b": Decimal(1)}
    read = WalletRead("trading", Verdict.COMPLETE, NOW, (), prices=prices)

    assert credible(OKX, read) == {"OLDT": Decimal("0.25")}
    assert credible(OKX, WalletRead("trading", Verdict.FAILED, prices=prices)) == {}


def test_a_list_that_contradicts_a_total_prices_nothing() -> None:
    """A valuation that is wrong there would count in wallets and accounts that nothing doubts."""
    read = WalletRead("trading", Verdict.INCOMPLETE, NOW, (), prices={"OLDT": Decimal("0.25")})

    for check in TotalCheck:
        prices = credible(OKX, msgspec.structs.replace(read, total_check=check))
        assert (prices == {}) is (check is TotalCheck.DISAGREES)


@given(ROWS, PRICES)
def test_totals_stay_the_exact_sum_of_their_parts(rows: list[tuple[str, Decimal]], price: Decimal) -> None:
    """Quantity times price, in every wallet, without rounding."""
    listed = [StoredBalance("OLDT", total, wallet=wallet) for wallet, total in rows]
    wallets = [StoredWallet(key, NOW, TotalCheck.AGREES, None, None) for key in OKX.covered_wallets]
    parts = values_of(listed, Book([], {}, NOW, [quoted(str(price))]).price)

    whole = worth([AccountValues(ID, summed(OKX, wallets, listed), parts)])

    assert Fraction(whole.total or 0) == sum(Fraction(total) * Fraction(price) for _, total in rows)

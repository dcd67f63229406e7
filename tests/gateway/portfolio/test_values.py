"""A worth is the exact sum of its parts; what is unknown is null, and has a name."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.exchanges.okx import OKX
from contracts.syncs import TotalCheck
from gateway.portfolio.holdings import summed
from gateway.portfolio.shown_prices import Shown
from gateway.portfolio.values import (
    AccountValues,
    Doubt,
    PriceRecord,
    Worth,
    WorthVerdict,
    values_of,
    worth,
)
from gateway.rows.balances import StoredBalance, StoredWallet
from gateway.rows.prices import Method, PriceCode

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ID, OTHER = UUID(int=1), UUID(int=2)
WALLETS = st.sampled_from(OKX.covered_wallets)
# As wide as the gateway stores amounts and prices.
AMOUNTS = st.decimals("-1e20", "1e20", places=30)
PRICES = st.decimals("1e-20", "1e20", places=30).filter(bool)
ASSETS = st.sampled_from(("BTC", "ETH", "PEPE", "X"))
LISTS = st.lists(st.tuples(WALLETS, ASSETS, AMOUNTS), max_size=12, unique_by=lambda row: row[:2])
BOOKS = st.dictionaries(ASSETS, PRICES)
Row = tuple[str, str, Decimal]


def price(value: Decimal | None, code: str | None = None, at: datetime = NOW) -> Shown:
    """Return a price; one without a value is unpriced."""
    if value is None:
        return Shown(None, None, None, PriceCode.UNPRICED)
    return Shown(value, Method.DIRECT, "okx", code, observed_at=at)


def account(rows: list[Row], book: Mapping[str, Decimal], account_id: UUID = ID) -> AccountValues:
    """Return an account whose wallets were all read and agree, with these amounts and prices."""
    wallets = [StoredWallet(key, NOW, TotalCheck.AGREES, None, None) for key in OKX.covered_wallets]
    return valued(rows, wallets, {asset: price(book.get(asset)) for _, asset, _ in rows}, account_id)


def valued(
    rows: list[Row], wallets: list[StoredWallet], book: Mapping[str, Shown], account_id: UUID = ID
) -> AccountValues:
    """Return an account with wallets and prices of a test's own."""
    listed = [StoredBalance(asset, total, wallet=wallet) for wallet, asset, total in rows]
    return AccountValues(account_id, summed(OKX, wallets, listed), values_of(listed, book.__getitem__))


def exact(rows: list[Row], book: Mapping[str, Decimal]) -> Fraction:
    """Return the sum of the priced amounts, by arithmetic that can not round."""
    return sum(
        (Fraction(total) * Fraction(book[asset]) for _, asset, total in rows if asset in book), Fraction()
    )


@given(LISTS, LISTS, BOOKS)
def test_a_total_is_the_exact_sum_of_its_parts(
    one: list[Row], other: list[Row], book: dict[str, Decimal]
) -> None:
    """Of all accounts, wallets and assets: no digit is lost, and no float is on the way."""
    accounts = [account(one, book), account(other, book, OTHER)]

    whole, parts = worth(accounts), [worth([each]) for each in accounts]

    assert Fraction(whole.total or 0) == exact(one + other, book)
    assert Fraction(whole.total or 0) == sum(Fraction(part.total or 0) for part in parts)


@given(LISTS, AMOUNTS, BOOKS.filter(bool), st.data())
def test_moving_an_asset_changes_no_total(
    rows: list[Row], moved: Decimal, book: dict[str, Decimal], data: st.DataObject
) -> None:
    """Neither between the wallets of an account, nor between accounts."""
    asset = data.draw(st.sampled_from(sorted(book)))
    others = [row for row in rows if row[1] != asset]
    here, there = ("trading", asset, moved), ("funding", asset, moved)
    before = worth([account([*others, here], book), account([], book, OTHER)])

    within = worth([account([*others, there], book), account([], book, OTHER)])
    across = worth([account(others, book), account([there], book, OTHER)])

    assert before.total == within.total == across.total
    assert before.verdict == within.verdict == across.verdict


@given(LISTS, BOOKS, st.integers(1, 10**9))
def test_a_total_scales_with_the_prices_exactly(
    rows: list[Row], book: dict[str, Decimal], factor: int
) -> None:
    """Twice the prices are twice the total, to the last digit."""
    scaled = {asset: value * factor for asset, value in book.items() if len(value.as_tuple().digits) < 19}
    rows = [row for row in rows if row[1] in scaled]

    before = worth([account(rows, {asset: book[asset] for asset in scaled})]).total
    after = worth([account(rows, scaled)]).total

    assert Fraction(after or 0) == Fraction(before or 0) * factor


def test_a_debt_lowers_a_total_once() -> None:
    """The meaning of total: the exchange's equity is net of the debt, which is not subtracted again."""
    rows = [StoredBalance("USDT", Decimal("-300"), borrowed=Decimal(300), wallet="trading")]
    rows.append(StoredBalance("BTC", Decimal("0.01"), borrowed=Decimal("0.5"), wallet="trading"))
    book = {"USDT": price(Decimal(1)), "BTC": price(Decimal(64000))}
    kept = [StoredWallet(key, NOW, TotalCheck.AGREES, None, None) for key in OKX.covered_wallets]

    found = worth([AccountValues(ID, summed(OKX, kept, rows), values_of(rows, book.__getitem__))])

    assert found.total == Decimal(340)


def test_an_unpriced_asset_is_null_and_named() -> None:
    """It is never worth zero; the total is that of the others, and is not complete."""
    found = account([("trading", "BTC", Decimal(1)), ("funding", "X", Decimal(5))], {"BTC": Decimal(64000)})

    seen = worth([found])

    assert [part.value for part in found.parts] == [Decimal(64000), None]
    assert (seen.total, seen.priced, seen.held, seen.unpriced) == (Decimal(64000), 1, 2, ("X",))
    assert (seen.verdict, seen.doubts) == (WorthVerdict.INCOMPLETE, (Doubt("unpriced", asset="X"),))


def test_nothing_priced_is_an_unknown_total() -> None:
    """Null, because zero would be a number; an account that is empty is worth zero."""
    unpriced, empty = account([("trading", "X", Decimal(5))], {}), account([], {})

    assert (worth([unpriced]).total, worth([empty]).total, worth([]).total) == (None, Decimal(0), None)
    assert worth([empty]).verdict is WorthVerdict.COMPLETE
    assert worth([]).verdict is WorthVerdict.INCOMPLETE


def test_a_quantity_of_zero_needs_no_price() -> None:
    """What was borrowed and spent is worth nothing, whatever its price."""
    rows = [StoredBalance("X", Decimal(0), borrowed=Decimal(3), wallet="trading")]
    kept = [StoredWallet(key, NOW, TotalCheck.AGREES, None, None) for key in OKX.covered_wallets]
    parts = values_of(rows, lambda _: price(None))

    found = worth([AccountValues(ID, summed(OKX, kept, rows), parts)])

    assert (parts[0].value, found.total, found.verdict) == (Decimal(0), Decimal(0), WorthVerdict.COMPLETE)


def test_money_in_an_unread_wallet_is_named() -> None:
    """It is not zero: the total is not complete, and without any wallet it is unknown."""
    read = StoredWallet("trading", NOW, TotalCheck.AGREES, None, None)
    book = {"BTC": price(Decimal(64000))}

    half = worth([valued([("trading", "BTC", Decimal(1))], [read], book)])
    none = worth([valued([], [read], book)])

    assert (half.total, half.verdict) == (Decimal(64000), WorthVerdict.INCOMPLETE)
    others = [wallet for wallet in OKX.covered_wallets if wallet != "trading"]
    assert half.doubts == tuple(Doubt("wallet_never_read", ID, wallet) for wallet in others)
    assert none.total is None


def test_a_failed_wallet_changes_no_quantity_but_the_verdict() -> None:
    """Stale data under a fresh timestamp: the oldest time is that of the stale list, whatever came later."""
    old, rows = NOW - 60 * MINUTE, [("trading", "BTC", Decimal(1)), ("funding", "BTC", Decimal(2))]
    fresh = StoredWallet("trading", NOW, TotalCheck.AGREES, None, None)
    stale = StoredWallet("funding", old, TotalCheck.AGREES, "exchange_unavailable", "It is away.")

    found = worth([valued(rows, [fresh, stale], {"BTC": price(Decimal(10))})])

    assert (found.total, found.balances_as_of) == (Decimal(30), old)
    assert Doubt("wallet_stale", ID, "funding") in found.doubts


@pytest.mark.parametrize("code", [*PriceCode, "code_of_a_later_version"])
def test_a_price_that_lies_never_makes_a_total_look_right(code: str) -> None:
    """Every code casts doubt, but that of the user's own price and that of a peg whose market rate counts."""
    found = account([("trading", "BTC", Decimal(1))], {"BTC": Decimal(64000)})
    parts = tuple(msgspec.structs.replace(part, price=price(Decimal(1), code)) for part in found.parts)

    seen = worth([msgspec.structs.replace(found, parts=parts)])

    sure = code in {PriceCode.MANUAL, PriceCode.PEG_DEVIATES}
    assert seen.verdict is (WorthVerdict.COMPLETE if sure else WorthVerdict.INCOMPLETE)


@pytest.mark.parametrize(
    ("check", "verdict"),
    [(TotalCheck.DISAGREES, WorthVerdict.INCOMPLETE), (TotalCheck.UNCHECKED, WorthVerdict.UNCHECKED)],
)
def test_a_total_that_was_not_compared_says_so(check: TotalCheck, verdict: WorthVerdict) -> None:
    """One that contradicts the exchange's own is not complete."""
    kept = [StoredWallet(key, NOW, check, None, None) for key in OKX.covered_wallets]

    assert worth([valued([], kept, {})]).verdict is verdict


def test_the_oldest_price_is_told() -> None:
    """The user's own price does not age, and an asset that holds nothing has no part in it."""
    old = price(Decimal(2), at=NOW - 9 * MINUTE)
    own = Shown(Decimal(5), Method.MANUAL, "user", PriceCode.MANUAL, observed_at=NOW - 99 * MINUTE)
    book = {"BTC": price(Decimal(1)), "ETH": old, "X": own}
    kept = [StoredWallet(key, NOW, TotalCheck.AGREES, None, None) for key in OKX.covered_wallets]

    found: Worth = worth([valued([("trading", asset, Decimal(1)) for asset in book], kept, book)])

    assert (found.prices_at, found.total) == (NOW - 9 * MINUTE, Decimal(8))


def test_the_record_of_a_price_keeps_every_digit() -> None:
    """It is stored as text and read back the same."""
    record = PriceRecord.of(price(Decimal("0.000000001234567890123456789"), PriceCode.DISPUTED))

    assert msgspec.json.decode(msgspec.json.encode(record), type=PriceRecord) == record

"""The past in API responses; amounts and values are decimal strings, times are UTC."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from contracts.faults import CodeText
from contracts.prices import USD
from contracts.values import AmountText, amount_text
from gateway.accounts.history import Shown
from gateway.http.price_views import HeldPriceView, held_price
from gateway.portfolio.grid import Interval
from gateway.portfolio.history import AccountThen, State, Then
from gateway.portfolio.holdings import EXACT
from gateway.portfolio.rates import Rate
from gateway.portfolio.values import DoubtCode, Valued, exact_sum, worth
from gateway.rows.snapshots import WalletPart


class PointView(msgspec.Struct, frozen=True):
    """The worth at a time; null means unknown, never zero.

    `state` is `fresh` if every account was read around that time, whole, and every asset had a price;
    `stale` if it is carried on from an earlier time or lacks something; `unknown` if nothing is known.
    `reasons` say why. `as_of` is the time of the oldest balance, `prices_at` the time of the oldest
    price: neither is later than `time`. `total` is in the currency of the response, by the last
    fixing before.
    """

    time: datetime
    state: State
    total: AmountText | None
    total_usd: AmountText | None
    as_of: datetime | None
    prices_at: datetime | None
    accounts: int
    unpriced: tuple[str, ...]
    reasons: tuple[str, ...]


class AssetPointView(PointView, frozen=True):
    """The worth of one asset at a time, its quantity net of debt, and its price for one unit."""

    quantity: AmountText | None
    price_usd: AmountText | None


class HistoryView(msgspec.Struct, frozen=True):
    """The worth over time: a point for each full hour, or for each midnight or each end of a Sunday.

    Midnights are those of the time zone that the user had then. A gap is a gap.
    """

    currency: str
    interval: Interval
    points: tuple[PointView, ...]


class AssetHistoryView(msgspec.Struct, frozen=True):
    """One asset over time: a point for each full hour, or for each midnight or each end of a Sunday.

    Midnights are those of the time zone that the user had then. A gap is a gap.
    """

    asset: str
    currency: str
    interval: Interval
    points: tuple[AssetPointView, ...]


class WalletThenView(msgspec.Struct, frozen=True):
    """A wallet as it stood; `as_of` is its last good read by then, null if it was never read."""

    wallet: str
    state: str
    as_of: datetime | None
    error_code: CodeText | None
    disagrees: bool


class AmountThenView(msgspec.Struct, frozen=True):
    """An asset in a wallet, with the price that counted then; `quantity` is net of `borrowed`.

    `stale_as_of` is set if the wallet's list could not supply the quantity.
    """

    wallet: str
    asset: str
    quantity: AmountText
    borrowed: AmountText | None
    stale_as_of: datetime | None
    value: AmountText | None
    value_usd: AmountText | None
    price: HeldPriceView


class AccountThenView(msgspec.Struct, frozen=True):
    """An account as it stood: unchanged since `since`, and confirmed for the last time at `until`.

    Without a snapshot it was connected, but not read yet, and nothing of it is known.
    """

    account_id: UUID
    name: str
    exchange: str
    snapshot_id: UUID | None
    since: datetime | None
    until: datetime | None
    state: State
    total: AmountText | None
    total_usd: AmountText | None
    wallets: tuple[WalletThenView, ...]
    amounts: tuple[AmountThenView, ...]


class StatementView(PointView, frozen=True):
    """Everything behind the worth at a time; `fixed_on` is the day of the rate of the currency."""

    currency: str
    per_usd: AmountText | None
    fixed_on: date | None
    statement: tuple[AccountThenView, ...]


def history_view(shown: Shown, interval: Interval) -> HistoryView:
    """Return a history."""
    points = tuple(PointView(**_point(then, rate, shown.currency)) for then, rate in shown.points)
    return HistoryView(shown.currency, interval, points)


def asset_history_view(asset: str, shown: Shown, interval: Interval) -> AssetHistoryView:
    """Return the history of an asset."""
    points = tuple(_asset_point(then, rate, shown.currency) for then, rate in shown.points)
    return AssetHistoryView(asset, shown.currency, interval, points)


def statement_view(shown: Shown) -> StatementView:
    """Return everything behind the worth at the only time."""
    ((then, rate),) = shown.points
    return StatementView(
        **_point(then, rate, shown.currency),
        currency=shown.currency,
        per_usd=None if rate is None else amount_text(rate.per_usd),
        fixed_on=None if rate is None else rate.fixed_on,
        statement=tuple(_account(then.time, each, rate, shown.currency) for each in then.accounts),
    )


def point_view(then: Then) -> PointView:
    """Return a point in USD."""
    return PointView(**_point(then, None, USD))


def _point(then: Then, rate: Rate | None, currency: str) -> dict[str, Any]:
    """Return the fields of a point."""
    of = then.worth
    codes = then.codes if rate is not None or currency == USD else (*then.codes, DoubtCode.RATE_UNKNOWN)
    return {
        "time": then.time,
        "state": then.state,
        "total": _converted(of.total, rate, currency),
        "total_usd": _text(of.total),
        "as_of": of.balances_as_of,
        "prices_at": of.prices_at,
        "accounts": sum(each.snapshot is not None for each in then.accounts),
        "unpriced": of.unpriced,
        "reasons": tuple(str(code) for code in codes),
    }


def _asset_point(then: Then, rate: Rate | None, currency: str) -> AssetPointView:
    known = [each.values.parts for each in then.accounts if each.values is not None]
    parts = [part for listed in known for part in listed]
    quantity = exact_sum([part.quantity for part in parts]) if known else None
    price = next((part.price.value for part in parts if part.price.value is not None), None)
    return AssetPointView(**_point(then, rate, currency), quantity=_text(quantity), price_usd=_text(price))


def _account(time: datetime, of: AccountThen, rate: Rate | None, currency: str) -> AccountThenView:
    alone = Then(time, (of,), worth([] if of.values is None else [of.values]))
    held, total = of.snapshot, alone.worth.total
    return AccountThenView(
        of.past.account_id,
        of.past.name,
        of.past.exchange,
        None if held is None else held.id,
        None if held is None else held.since,
        None if held is None else held.until,
        alone.state,
        _converted(total, rate, currency),
        _text(total),
        () if held is None else tuple(map(_wallet, held.content.wallets)),
        () if of.values is None else tuple(_amount(of, part, rate, currency) for part in of.values.parts),
    )


def _wallet(of: WalletPart) -> WalletThenView:
    return WalletThenView(of.wallet, of.state, of.as_of, of.error_code, of.disagrees)


def _amount(of: AccountThen, part: Valued, rate: Rate | None, currency: str) -> AmountThenView:
    kept = () if of.snapshot is None else of.snapshot.content.amounts
    stale = {(each.wallet, each.asset): each.stale_as_of for each in kept}
    return AmountThenView(
        wallet=part.wallet,
        asset=part.asset,
        quantity=amount_text(part.quantity),
        borrowed=_text(part.borrowed),
        stale_as_of=stale.get((part.wallet, part.asset)),
        value=_converted(part.value, rate, currency),
        value_usd=_text(part.value),
        price=held_price(part.price),
    )


def _converted(value: Decimal | None, rate: Rate | None, currency: str) -> AmountText | None:
    if value is None or (rate is None and currency != USD):
        return None
    return amount_text(value if rate is None else EXACT.multiply(value, rate.per_usd))


def _text(value: Decimal | None) -> AmountText | None:
    return None if value is None else amount_text(value)

"""Prices in API responses; values are decimal strings in USD, times are UTC."""

from datetime import datetime
from decimal import Decimal

import msgspec

from contracts.faults import CodeText
from contracts.values import AmountText, amount_text
from gateway.portfolio.shown_prices import Seen, Shown
from gateway.portfolio.values import value_of
from gateway.rows.prices import Leg


class LegView(msgspec.Struct, frozen=True):
    """One factor of a price: a pair, and its price in units of the second asset."""

    pair: str
    price: AmountText


class OtherPriceView(msgspec.Struct, frozen=True):
    """A further price of an asset that does not count, with the code of its fault, if any."""

    value_usd: AmountText | None
    method: str | None
    source: str | None
    pair: str | None
    legs: tuple[LegView, ...]
    observed_at: datetime | None
    age_seconds: int | None
    code: CodeText | None
    detail: str | None


class HeldPriceView(msgspec.Struct, frozen=True, gc=False):
    """The price behind a value, in USD for one unit; GET /prices/{asset} shows all that is known of it.

    `method` is `unit` for USD itself, and `exchange_valued` if no market is known and the exchange values
    what you hold. `code` says why the price may be wrong.
    """

    value_usd: AmountText | None
    method: str | None
    source: str | None
    pair: str | None
    observed_at: datetime | None
    code: CodeText | None


class PriceView(msgspec.Struct, frozen=True):
    """The price of one unit of an asset in USD; null means unknown, never zero.

    `method` says how it was found: `direct` (a trade against USD), `cross` (trades against other assets, its
    `legs`), `peg` (a coin that promises to be worth 1 USD; `market_rate` is what the market pays, null if no
    market is known), `last_known` (an earlier price, because the newest one is missing or lies), `manual`
    (you set it), `unit` (USD itself), `exchange_valued` (no market is known, and the exchange values what you
    hold at this price). `code` and `detail` say what is wrong with the newest price, or what to
    be careful with. `disputed` is true where the price and the exchange's index differ by more than 2 %. A
    later version may send other methods and codes.
    """

    asset: str
    value_usd: AmountText | None
    method: str | None
    source: str | None
    pair: str | None
    legs: tuple[LegView, ...]
    observed_at: datetime | None
    age_seconds: int | None
    code: CodeText | None
    detail: str | None
    market_rate: AmountText | None
    index_usd: AmountText | None
    index_at: datetime | None
    disputed: bool
    alternatives: tuple[OtherPriceView, ...]


def held_price(price: Shown) -> HeldPriceView:
    """Return the price behind a value."""
    return HeldPriceView(
        value_usd=None if price.value is None else amount_text(price.value),
        method=price.method,
        source=price.source,
        pair=price.pair,
        observed_at=price.observed_at,
        code=price.code,
    )


def worth_of(quantity: Decimal, price: Shown) -> tuple[AmountText | None, HeldPriceView]:
    """Return the value of a quantity in USD, and the price behind it."""
    value = value_of(quantity, price)
    return None if value is None else amount_text(value), held_price(price)


def price_view(seen: Seen) -> PriceView:
    """Return a price with all that is known of it."""
    price = seen.price
    return PriceView(
        asset=seen.asset,
        value_usd=None if price.value is None else amount_text(price.value),
        method=price.method,
        source=price.source,
        pair=price.pair,
        legs=leg_views(price.legs),
        observed_at=price.observed_at,
        age_seconds=_age(price),
        code=price.code,
        detail=price.words,
        market_rate=None if price.observed is None else amount_text(price.observed),
        index_usd=None if seen.index is None else amount_text(seen.index.value),
        index_at=None if seen.index is None else seen.index.observed_at,
        disputed=seen.is_disputed,
        alternatives=tuple(_other(each) for each in seen.others),
    )


def _other(price: Shown) -> OtherPriceView:
    return OtherPriceView(
        value_usd=None if price.value is None else amount_text(price.value),
        method=price.method,
        source=price.source,
        pair=price.pair,
        legs=leg_views(price.legs),
        observed_at=price.observed_at,
        age_seconds=_age(price),
        code=price.code,
        detail=price.words,
    )


def leg_views(legs: tuple[Leg, ...]) -> tuple[LegView, ...]:
    """Return the factors of a price."""
    return tuple(LegView(leg.pair, amount_text(leg.price)) for leg in legs)


def _age(price: Shown) -> int | None:
    return None if price.age is None else int(price.age.total_seconds())

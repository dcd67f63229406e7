"""The known prices of an exchange's assets, reading by reading: a price that lies replaces none. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from contracts.prices import PEGS, USD
from gateway.portfolio.markets import ONE, VIA, Market, Offer
from gateway.rows.prices import Known, Method, Price, PriceCode

# An older price is the last known one, and after a day it is none.
FRESH = timedelta(minutes=15)
PRICED_FOR = timedelta(hours=24)
# The price of an asset that is no longer listed is forgotten after this time.
FORGOTTEN = timedelta(days=7)
# A price that jumps this far within an hour is believed after it stayed there for ten minutes.
FAR = Decimal(10)
SOON, CONFIRMED = timedelta(hours=1), timedelta(minutes=10)
# The bound of assets that are remembered; those that an exchange no longer lists go first.
MAX_KNOWN = 10_000
UNKNOWN = Known()


def derived(
    market: Market, known: Mapping[str, Known], pegs: Mapping[str, Price] | None = None
) -> dict[str, Known]:
    """Return the known prices after a reading; `known` are the known prices before it.

    `pegs` are the rates of pegged coins that other exchanges show now; they count for an exchange without
    indexes. USD itself is the unit: no trade against another asset makes it worth more or less.
    """
    legs: dict[str, Price] = {}
    now: dict[str, Known] = {}
    for asset in dict.fromkeys((*VIA, USD, *PEGS, *market.assets, *known)):
        after = _known(asset, known.get(asset, UNKNOWN), market, legs)
        if asset in PEGS and _shows_no_rate(asset, market, legs):
            after = _lent(asset, market, pegs or {})
        if asset == USD:
            after = Known(Price(ONE, Method.DIRECT, market.seen_at)) if market.has_quotes else after
        if after is not UNKNOWN and len(now) < MAX_KNOWN:
            now[asset] = after
        if asset in VIA and after.price is not None and market.seen_at - after.price.observed_at <= FRESH:
            legs[asset] = after.price
    return now


def rates_of_pegs(market: Market, known: Mapping[str, Known], now: datetime) -> dict[str, Price]:
    """Return the rates of pegged coins that a reading shows now; an exchange without indexes shows none."""
    prices = {} if market.is_without_indexes else {peg: known[peg].price for peg in PEGS if peg in known}
    return {
        peg: price
        for peg, price in prices.items()
        if price is not None and price.observed is not None and now - price.observed_at <= FRESH
    }


def legs_of(known: Mapping[str, Known], seen_at: datetime) -> dict[str, Price]:
    """Return the prices by which others came to USD in the last reading."""
    prices = {via: known[via].price for via in VIA if via in known}
    return {
        via: price
        for via, price in prices.items()
        if price is not None and seen_at - price.observed_at <= FRESH
    }


def far(value: Decimal, other: Decimal) -> bool:
    """Return whether a value is more than ten times another, or less than a tenth of it."""
    return value > other * FAR or value * FAR < other


def _known(asset: str, before: Known, market: Market, legs: Mapping[str, Price]) -> Known:
    """Return the price of an asset after a reading."""
    if not market.has_quotes and asset not in PEGS:
        return before
    offers = market.offers(asset, legs)
    if asset in PEGS:
        offers = [_pegged(offer) for offer in (*offers, *_index_offer(asset, market))]
    chosen = _best(offers, market.seen_at)
    if chosen is not None:
        return _accepted(before, chosen)
    return _kept(before, offers[0].code) if offers else _unoffered(asset, before, market)


def _shows_no_rate(asset: str, market: Market, legs: Mapping[str, Price]) -> bool:
    """Return whether a reading of an exchange without indexes has no market of a pegged coin."""
    return market.is_without_indexes and market.has_quotes and not market.offers(asset, legs)


def _lent(asset: str, market: Market, pegs: Mapping[str, Price]) -> Known:
    """Return the rate of a pegged coin at another exchange, or else its face value."""
    rate = pegs.get(asset)
    if rate is None:
        return Known(Price(ONE, Method.PEG, market.seen_at), PriceCode.PEG_UNOBSERVED)
    return Known(Price(rate.value, Method.PEG, min(rate.observed_at, market.seen_at), rate.legs, rate.value))


def _unoffered(asset: str, before: Known, market: Market) -> Known:
    """Return the price of an asset after a reading that offers none."""
    if not market.has_quotes or (asset in PEGS and not market.has_indexes):
        return before
    if asset in PEGS and _face_may_count(before, market):
        return Known(Price(ONE, Method.PEG, market.seen_at), PriceCode.PEG_UNOBSERVED)
    if market.lists(asset):
        return _kept(before, PriceCode.LAST_KNOWN)
    if before.price is None or market.seen_at - before.price.observed_at > FORGOTTEN:
        return UNKNOWN
    return _kept(before, PriceCode.NOT_LISTED)


def _best(offers: list[Offer], seen_at: datetime) -> Price | None:
    """Return the price of the best offer without a fault; an old one only if all are old."""
    good = [offer.price for offer in offers if offer.price is not None and offer.code is None]
    fresh = (price for price in good if seen_at - price.observed_at <= FRESH)
    return next(fresh, good[0]) if good else None


def _accepted(before: Known, price: Price) -> Known:
    """Return the new price, or the last one if it is newer, or if the new one is not confirmed yet."""
    last = before.price
    if last is None or (last.method == Method.PEG and last.observed is None):
        return Known(price)
    if price.observed_at < last.observed_at:
        return _kept(before, PriceCode.LAST_KNOWN)
    if far(price.value, last.value) and price.observed_at - last.observed_at <= SOON:
        same = before.doubted is not None and not far(price.value, before.doubted)
        since = before.doubted_since if same and before.doubted_since else price.observed_at
        if price.observed_at - since < CONFIRMED:
            return Known(last, PriceCode.IMPLAUSIBLE, price.value, since)
    return Known(price)


def _kept(before: Known, code: PriceCode | None) -> Known:
    """Return the last price with the reason why the newest reading did not replace it."""
    return Known(before.price, code)


def _pegged(offer: Offer) -> Offer:
    """Return the offer of a pegged coin: the market rate counts, and stands beside."""
    if offer.price is None:
        return offer
    price = Price(offer.price.value, Method.PEG, offer.price.observed_at, offer.price.legs, offer.price.value)
    return Offer(price, offer.code, offer.pair, offer.depth)


def _index_offer(asset: str, market: Market) -> list[Offer]:
    if not market.indexes(asset):
        return []
    index = market.index(asset)
    return [Offer(index, PriceCode.INVALID if index is None else None, f"{asset}-{USD}")]


def _face_may_count(before: Known, market: Market) -> bool:
    """Return whether no market rate of a pegged coin is known from the last day."""
    last = before.price
    return last is None or last.observed is None or market.seen_at - last.observed_at > PRICED_FOR

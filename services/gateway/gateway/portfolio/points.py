"""The prices that a reading leaves for the past: of a full hour, or of a fixing. Pure."""

from collections.abc import Mapping
from datetime import datetime

from contracts.prices import EUR, PricesRead
from gateway.portfolio.markets import Market, number
from gateway.portfolio.shown_prices import shown
from gateway.rows.points import Fixing, Point
from gateway.rows.prices import Known


def hour_of(time: datetime) -> datetime:
    """Return the full hour of a time."""
    return time.replace(minute=0, second=0, microsecond=0)


def points_before(known: Mapping[str, Known], market: Market, seen_at: datetime) -> list[Point]:
    """Return the prices of the full hour between a reading and the next one, made at `seen_at`.

    The earlier reading counts, because the next one is later than the hour. Without an hour between them, and
    for assets that have no price at that hour, there are none.
    """
    hour = hour_of(seen_at)
    if market.seen_at > hour:
        return []
    prices = ((asset, shown(asset, each, market, hour)) for asset, each in known.items())
    return [
        Point(
            asset,
            market.source,
            hour,
            price.value,
            price.method,
            price.observed_at,
            price.code,
            price.pair,
        )
        for asset, price in prices
        if price.value is not None and price.method is not None and price.observed_at is not None
    ]


def fixings_of(read: PricesRead) -> list[Fixing]:
    """Return the rates of a fixing; empty for a reading of an exchange."""
    if read.fixed_on is None:
        return []
    rates = ((each.quote, number(each.price)) for each in read.indexes or () if each.base == EUR)
    return [
        Fixing(read.exchange, read.fixed_on, EUR, currency, rate)
        for currency, rate in rates
        if rate is not None and rate > 0
    ]

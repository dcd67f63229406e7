"""The prices that count for a user: the market's, and those that the user set."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache

from gateway.portfolio.prices import UNKNOWN
from gateway.portfolio.shown_prices import Shown, by_hand, first_of, shown
from gateway.prices.readings import Reading
from gateway.rows.prices import Manual, PriceCode


def market_price(asset: str, last: Sequence[Reading], now: datetime) -> Shown:
    """Return the price of an asset by the last readings; one without a value if none has it."""
    holding = [each for each in last if asset in each.known or each.market.index(asset) is not None]
    prices = [shown(asset, each.known.get(asset, UNKNOWN), each.market, now) for each in holding]
    return first_of(prices) or Shown(None, None, None, PriceCode.UNPRICED)


def prices_for(
    last: Sequence[Reading], manual: Mapping[str, Manual], now: datetime
) -> Callable[[str], Shown]:
    """Return the function that gives the price of an asset, and looks at each asset once."""

    @cache
    def price_of(asset: str) -> Shown:
        own = manual.get(asset)
        return market_price(asset, last, now) if own is None else by_hand(own, now)

    return price_of

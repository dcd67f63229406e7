"""The prices that count for a user now: the user's own, else the market's, else the exchange's valuation."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from contracts.prices import USD
from gateway.portfolio.quoted import by_exchange, newest
from gateway.portfolio.shown_prices import Shown, by_hand, first_of, shown
from gateway.prices.readings import Reading
from gateway.rows.prices import Manual, Method, PriceCode
from gateway.rows.uncovered import QuotedList

# 1 USD is worth 1 USD, whatever a market or a user says.
UNIT = Shown(Decimal(1), Method.UNIT, None)
UNPRICED = Shown(None, None, None, PriceCode.UNPRICED)


class Book:
    """The prices of assets as of one moment; each is found once, however many balances need it."""

    def __init__(
        self,
        last: Sequence[Reading],
        manual: Mapping[str, Manual],
        now: datetime,
        quoted: Iterable[QuotedList] = (),
    ) -> None:
        self._last, self._manual, self._now = last, manual, now
        self._quoted = newest(quoted, now)
        self._found: dict[str, Shown] = {USD: UNIT}

    def price(self, asset: str) -> Shown:
        """Return the price of an asset; one without a value is unknown."""
        found = self._found.get(asset)
        if found is None:
            found = self._found[asset] = self._price(asset)
        return found

    def _price(self, asset: str) -> Shown:
        manual = self._manual.get(asset)
        if manual is not None:
            return by_hand(manual, self._now)
        of_market = [
            shown(asset, each.known[asset], each.market, self._now)
            for each in self._last
            if asset in each.known
        ]
        best = first_of(of_market) or UNPRICED
        if best.value is not None:
            return best
        return by_exchange(self._quoted.get(asset), self._now) or best

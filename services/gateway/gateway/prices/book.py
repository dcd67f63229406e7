"""The prices that count for a user now: the user's own, else the market's, else the exchange's valuation."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from contracts.prices import USD
from gateway.portfolio.identity import Asset, Identity, asset_of, first_by, names_of, scaled
from gateway.portfolio.quoted import by_exchange, newest
from gateway.portfolio.shown_prices import Shown, agreed, alternatives, by_hand, shown
from gateway.portfolio.values import PriceOf
from gateway.prices.readings import Reading
from gateway.rows.prices import Manual, Method, Price, PriceCode
from gateway.rows.uncovered import QuotedList

# 1 USD is worth 1 USD, whatever a market or a user says.
UNIT = Shown(Decimal(1), Method.UNIT, None)
UNPRICED = Shown(None, None, None, PriceCode.UNPRICED)


class Book:
    """The prices of assets as of one moment; each is found once, however many balances need it.

    An asset has one price, at whichever exchange it is held.
    """

    def __init__(
        self,
        last: Sequence[Reading],
        manual: Mapping[str, Manual],
        now: datetime,
        quoted: Iterable[QuotedList] = (),
        identity: Identity | None = None,
    ) -> None:
        self._last, self._manual, self._now = last, manual, now
        self._quoted = list(quoted)
        self.identity = identity or Identity(None, now)
        self._found: dict[tuple[str, str | None], Shown] = {(USD, None): UNIT}

    def at(self, exchange: str) -> PriceOf:
        """Return a finder of the price of one unit of an exchange's name."""

        def price_of(name: str) -> Shown:
            asset = self.identity.of(exchange, name)
            return scaled(self._of(asset), asset.power)

        return price_of

    def price(self, text: str) -> Shown:
        """Return the price of an asset by its text; one without a value is unknown."""
        return self._of(asset_of(text))

    def _of(self, asset: Asset) -> Shown:
        found = self._found.get(asset.key)
        if found is None:
            found = self._found[asset.key] = self._price(asset)
        return found

    def _price(self, asset: Asset) -> Shown:
        manual = manual_of(asset, self._manual, self.identity)
        if manual is not None:
            return by_hand(manual, self._now)
        best = agreed(of_market(asset, self._last, self._now)) or UNPRICED
        if best.value is not None:
            return best
        return valued(asset, self._quoted, self._now) or best


def manual_of(asset: Asset, manual: Mapping[str, Manual], identity: Identity) -> Manual | None:
    """Return the price that a user set for an asset; a price of a bare name is for all of that name.

    A bare name of two assets has no price of a user.
    """
    own = manual.get(asset.text)
    if own is not None or asset.exchange is None or identity.is_split(asset.name):
        return own
    return manual.get(asset.name)


def of_market(asset: Asset, last: Iterable[Reading], now: datetime) -> list[Shown]:
    """Return the price of an asset at each exchange that has one; exchanges with indexes come first."""
    return [
        scaled(shown(name, each.known[name], each.market, now), -power)
        for each, name, power in _named(asset, last)
        if name in each.known
    ]


def further(asset: Asset, last: Iterable[Reading], now: datetime) -> list[Shown]:
    """Return the prices of an asset at the other exchanges."""
    return [
        scaled(price, -power)
        for each, name, power in _named(asset, last)
        for price in alternatives(name, each.known, each.market, now)
    ]


def indexes_of(asset: Asset, last: Iterable[Reading]) -> list[Price]:
    """Return the indexes of an asset by the exchanges that have one in its unit."""
    found = [each.market.index(name) for each, name, power in _named(asset, last) if not power]
    return [each for each in found if each is not None]


def _named(asset: Asset, last: Iterable[Reading]) -> Iterator[tuple[Reading, str, int]]:
    """Return the readings in an order that never changes, with the names of an asset there."""
    for each in sorted(last, key=lambda each: first_by(each.market.source)):
        for name, power in names_of(asset, each.market.source):
            yield each, name, power


def valued(asset: Asset, quoted: Iterable[QuotedList], now: datetime) -> Shown | None:
    """Return the price by which an exchange itself values an asset; None without one."""
    lists = list(quoted)
    prices = [
        (name, power, newest([each for each in lists if each.exchange == exchange], now))
        for exchange in sorted({each.exchange for each in lists})
        for name, power in names_of(asset, exchange)
    ]
    found = [(prices[name], power) for name, power, prices in prices if name in prices]
    if not found:
        return None
    best, power = max(found, key=lambda each: each[0].as_of)
    price = by_exchange(best, now)
    return None if price is None else scaled(price, -power)

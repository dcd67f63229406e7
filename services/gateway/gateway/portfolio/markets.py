"""The offers of one reading of an exchange: trades against USD or another asset, and indexes. Pure.

A reading may have thousands of rows, each minute: a number is parsed only where it is needed.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Context, Decimal, InvalidOperation

import msgspec

from contracts.prices import USD, IndexPrice, PricesRead, Quote
from gateway.rows.prices import Leg, Method, Price, PriceCode

# The assets by which a price may come to USD. Each is priced by those before it.
VIA = ("USDT", "USDC", "BTC", "ETH")
# A time of the exchange may be this far ahead of the worker's clock.
AHEAD = timedelta(minutes=1)
# Numbers outside these bounds are absurd.
TINY, HUGE = Decimal("1e-30"), Decimal("1e30")
# A last trade this much below the best bid or above the best ask is of another time.
AWAY = Decimal("0.1")
WIDE = Context(prec=40)
ZERO, ONE = Decimal(0), Decimal(1)


class Offer(msgspec.Struct, frozen=True, gc=False):
    """The price of one pair with the code of a fault, if any; `depth` are a day's trades in USD."""

    price: Price | None
    code: PriceCode | None
    pair: str
    depth: Decimal = ZERO


class Market:
    """The lists of a reading; a list that was not read is None.

    `seen_at` is when it was read. No price is newer, whatever the clocks of exchange and worker say.
    """

    def __init__(self, read: PricesRead, seen_at: datetime) -> None:
        self.source, self.seen_at = read.exchange, seen_at
        self.has_quotes, self.has_indexes = read.quotes is not None, read.indexes is not None
        self._has_volumes = read.has_volumes
        self._read_at, self._shift = read.read_at, seen_at - read.read_at
        self._quotes: dict[str, dict[str, Quote]] = {}
        for quote in read.quotes or ():
            self._quotes.setdefault(quote.base, {})[quote.quote] = quote
        self._indexes = {each.base: each for each in read.indexes or () if each.quote == USD}
        # Such an exchange cannot show the worth of a pegged coin in USD. An exchange with volumes has lost
        # its list.
        self.is_without_indexes = read.indexes == () and not read.has_volumes
        self._parsed: dict[str, Price | None] = {}

    @property
    def assets(self) -> Iterator[str]:
        """Return the assets that have a pair."""
        yield from self._quotes

    def lists(self, asset: str) -> bool:
        """Return whether an asset has a pair."""
        return asset in self._quotes

    def indexes(self, asset: str) -> bool:
        """Return whether an asset has an index, which may be unreadable."""
        return asset in self._indexes

    def offers(self, asset: str, legs: Mapping[str, Price]) -> list[Offer]:
        """Return the offers of an asset, best first: that against USD, then by a day's trades.

        `legs` are the present prices of the assets in VIA. Equal ones stand in the order of VIA.
        """
        rows = self._quotes.get(asset)
        if rows is None:
            return []
        crosses = [self._offer(rows[via], legs[via]) for via in VIA if via in rows and via in legs]
        if len(crosses) > 1:
            crosses.sort(key=lambda offer: -offer.depth)
        return [self._offer(rows[USD], None), *crosses] if USD in rows else crosses

    def index(self, asset: str) -> Price | None:
        """Return the exchange's index of an asset in USD, if it is readable."""
        row = self._indexes.get(asset)
        if row is None:
            return None
        if asset not in self._parsed:  # each user's holdings ask
            self._parsed[asset] = self._index(asset, row)
        return self._parsed[asset]

    def _index(self, asset: str, row: IndexPrice) -> Price | None:
        value, at = number(row.price), self._observed_at(row.at)
        if value is None or not TINY < value < HUGE or at is None:
            return None
        return Price(value, Method.INDEX, at, (Leg(f"{asset}-{USD}", value),))

    def _offer(self, quote: Quote, leg: Price | None) -> Offer:
        pair, at = f"{quote.base}-{quote.quote}", self._observed_at(quote.at)
        last, volume, code = judged(quote, has_volumes=self._has_volumes)
        if last is None or at is None:
            return Offer(None, PriceCode.INVALID, pair)
        if leg is None:
            return Offer(Price(last, Method.DIRECT, at, (Leg(pair, last),)), code, pair, volume)
        value, at = WIDE.multiply(last, leg.value), min(at, leg.observed_at)
        price = Price(value, Method.CROSS, at, (Leg(pair, last), *leg.legs))
        return Offer(price, code, pair, WIDE.multiply(volume, leg.value))

    def _observed_at(self, at: datetime | None) -> datetime | None:
        """Return a time of the exchange as an age before `seen_at`; None for a missing or a future time."""
        if at is None:
            return None
        if at <= self._read_at:
            return at + self._shift
        return self.seen_at if at <= self._read_at + AHEAD else None


def judged(quote: Quote, *, has_volumes: bool = True) -> tuple[Decimal | None, Decimal, PriceCode | None]:
    """Return the last trade of a pair and its volume, with the code of a pair that is not really traded.

    The last trade is None if it cannot be a price. The volume is zero where an exchange reports none; then a
    trade that the offers have left behind is no price of now.
    """
    last, bid, ask, volume = number(quote.last), number(quote.bid), number(quote.ask), number(quote.volume)
    if last is None or not TINY < last < HUGE:
        return None, ZERO, PriceCode.INVALID
    if bid is None or ask is None or not ZERO < bid <= ask:
        return last, ZERO, PriceCode.THIN
    if not has_volumes:
        # Nothing else tells how old the trade is. Offers were read in another moment than the trade.
        is_near = ask < HUGE and bid * (ONE - AWAY) <= last <= ask * (ONE + AWAY)
        return last, ZERO, None if is_near else PriceCode.THIN
    if volume is None or not ZERO < volume < HUGE:
        return last, ZERO, PriceCode.THIN
    return last, volume, None


def number(text: str | None) -> Decimal | None:
    """Parse a number of a reading; return None for a missing, unreadable or infinite one."""
    try:
        value = Decimal(text)  # type: ignore[arg-type] # None is rare, and raises TypeError
    except (InvalidOperation, TypeError):
        return None
    return value if value.is_finite() else None

"""The asset that a name of an exchange means: by the table, by a user's decision, or by prices. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import msgspec

from contracts.assets import ASSETS, DECIDED, DISTINCT
from contracts.exchanges import EXCHANGES, PRICED
from contracts.prices import INDEXED
from gateway.portfolio.holdings import EXACT
from gateway.portfolio.prices import FRESH
from gateway.portfolio.shown_prices import Shown
from gateway.rows.assets import Choice, Match, Names
from gateway.rows.prices import Known, Price

AT = "@"
# Prices of equal names may differ by so much of the lower one for the names to be one asset.
NEAR = Decimal("0.20")


class Apart(StrEnum):
    """Why equal names of two exchanges are two assets."""

    DIFFER = "prices_differ"
    UNCOMPARED = "prices_not_compared"
    BY_USER = "split_by_user"
    BY_TABLE = "different_assets"


class Asset(msgspec.Struct, frozen=True, gc=False):
    """An asset; with an `exchange`, the one that this exchange calls by the name, and no other.

    One of the exchange's name is 10 to the power of `power` of the asset.
    """

    name: str
    exchange: str | None = None
    power: int = 0

    @property
    def text(self) -> str:
        """Return a text that no other asset has."""
        return self.name if self.exchange is None else f"{self.name}{AT}{self.exchange}"

    @property
    def key(self) -> tuple[str, str | None]:
        """Return the key that equal assets share."""
        return self.name, self.exchange


class Identity:
    """The assets of names at one time."""

    def __init__(self, names: Names | None, time: datetime) -> None:
        names = names or Names()
        self._time = time
        self._choices: Mapping[str, Choice] = {each.asset: each for each in names.choices}
        self._matches: defaultdict[str, list[Match]] = defaultdict(list)
        for match in names.matches:
            self._matches[match.asset].append(match)

    def of(self, exchange: str, name: str) -> Asset:
        """Return the asset of a name at an exchange."""
        mapped = ASSETS.get((exchange, name))
        if mapped is not None:
            return Asset(mapped.asset, None, mapped.power)
        return Asset(name, None if self.is_one(name) else exchange)

    def is_one(self, name: str) -> bool:
        """Return whether equal names that are not in the table are one asset."""
        if name in DECIDED:
            return False
        choice = self._choices.get(name)
        return self.by_prices(name) if choice is None else choice.at(self._time)

    def by_prices(self, name: str) -> bool:
        """Return whether prices alone make equal names one asset: all pairs matched, and none was split."""
        matches = self._matches.get(name, ())
        return name not in DECIDED and bool(matches) and all(each.is_one(self._time) for each in matches)

    def apart(self, name: str) -> Apart:
        """Return why equal names are not one asset."""
        if name in DECIDED:
            return Apart.BY_TABLE
        choice = self._choices.get(name)
        if choice is not None and choice.since <= self._time:
            return Apart.BY_USER
        is_split = any(each.is_split(self._time) for each in self._matches.get(name, ()))
        return Apart.DIFFER if is_split else Apart.UNCOMPARED

    def is_split(self, name: str) -> bool:
        """Return whether a price, a user or the table says that equal names are two assets."""
        return not self.is_one(name) and self.apart(name) is not Apart.UNCOMPARED


def names_of(asset: Asset, exchange: str) -> Sequence[tuple[str, int]]:
    """Return the names of an asset at an exchange, each with the power of its unit."""
    if asset.exchange is not None:
        return ((asset.name, 0),) if asset.exchange == exchange else ()
    listed = _BY_ASSET.get((exchange, asset.name))
    if listed is not None:
        return listed
    # The table has the asset, and this exchange calls another one by its name, if any.
    is_other = asset.name in DECIDED - DISTINCT and exchange in EXCHANGES
    return () if is_other or (exchange, asset.name) in ASSETS else ((asset.name, 0),)


def sources_of(asset: Asset) -> list[tuple[str, str, int]]:
    """Return the exchanges with prices and their names of an asset, with the powers of the units."""
    return [
        (exchange, name, power)
        for exchange in sorted(PRICED, key=first_by)
        for name, power in names_of(asset, exchange)
    ]


def first_by(source: str) -> tuple[bool, str]:
    """Return the place of a source: exchanges with indexes come first, and the order never changes."""
    return source not in INDEXED, source


def asset_of(text: str) -> Asset:
    """Return the asset of a text, such as BTC or HOUSE@okx."""
    name, _, exchange = text.partition(AT)
    return Asset(name, exchange or None)


def scaled(price: Shown, power: int) -> Shown:
    """Return the price of a unit of 10 to the power of `power`, exactly; the legs stay as they are."""
    if not power or price.value is None:
        return price
    observed = None if price.observed is None else EXACT.scaleb(price.observed, power)
    return msgspec.structs.replace(price, value=EXACT.scaleb(price.value, power), observed=observed)


def compared(known: Mapping[str, Mapping[str, Known]], before: Iterable[Match], now: datetime) -> list[Match]:
    """Return the new findings of the newest prices of exchanges about equal names.

    `known` has the prices by exchange. A missing, old or doubtful price changes nothing: one asset stays one,
    and two do not become one without both prices.
    """
    last = {(each.asset, each.first, each.second): each for each in before}
    exchanges = sorted(known)
    found = []
    for number, first in enumerate(exchanges):
        for second in exchanges[number + 1 :]:
            for asset in sorted({*known[first]} & {*known[second]} - DECIDED):
                match = last.get((asset, first, second)) or Match(asset, first, second)
                after = _compared(match, known[first][asset], known[second][asset], now)
                if after != match:
                    found.append(after)
    return found


def _compared(match: Match, one: Known, other: Known, now: datetime) -> Match:
    prices = [_plain(each, now) for each in (one, other)]
    values = [each.value for each in prices if each is not None]
    if match.split_at is not None or len(values) < len(prices) or _is_lent(*prices):
        return match
    if max(values) - min(values) > min(values) * NEAR:
        return msgspec.structs.replace(match, split_at=now)
    return match if match.matched_at else msgspec.structs.replace(match, matched_at=now)


def _plain(known: Known, now: datetime) -> Price | None:
    """Return a present price of which nothing says that it may lie; the face value of a coin is no price."""
    price = known.price
    if price is None or known.code is not None or now - price.observed_at > FRESH:
        return None
    return price


def _is_lent(one: Price | None, other: Price | None) -> bool:
    """Return whether one exchange's price of a pegged coin is that of the other, which agrees with itself."""
    return one is not None and other is not None and bool(one.legs) and one.legs == other.legs


def _by_asset() -> dict[tuple[str, str], tuple[tuple[str, int], ...]]:
    found: defaultdict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    for (exchange, name), mapped in sorted(ASSETS.items()):
        found[exchange, mapped.asset].append((name, mapped.power))
    return {key: tuple(names) for key, names in found.items()}


_BY_ASSET = _by_asset()

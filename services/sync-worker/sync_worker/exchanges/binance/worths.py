"""The worth in USD of what Binance lists: its own valuations in BTC, times one price of BTC. Pure."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from sync_worker.exchanges.lenient_json import is_whole
from sync_worker.exchanges.rows import Fields
from sync_worker.exchanges.values import ZERO, amount_or_none

PARTS = ("free", "locked", "freeze", "withdrawing", "ipoable")
VALUATION = "btcValuation"
NO_UNITS: Mapping[str, Decimal] = {}


class Worths(msgspec.Struct, frozen=True):
    """The price of BTC in USD, None if unknown, and the price of one unit in BTC by asset."""

    btc: Decimal | None = None
    units: Mapping[str, Decimal] = NO_UNITS

    def usd(self, btc: Decimal | None) -> Decimal | None:
        """Return the worth in USD of one in BTC; None if one of them is unknown."""
        if btc is not None and not btc:
            return ZERO
        return None if btc is None or self.btc is None else btc * self.btc

    def of(self, asset: str, total: Decimal) -> Decimal | None:
        """Return the worth in USD of an amount; None without a price."""
        if not total:
            return ZERO
        unit = Decimal(1) if asset == "BTC" else self.units.get(asset)
        return None if unit is None else self.usd(unit * total)


def held(fields: Fields) -> Decimal:
    """Return the sum of the readable parts of a row."""
    parts = (amount_or_none(fields.get(name)) for name in PARTS)
    return sum((part for part in parts if part is not None), ZERO)


def units_of(rows: Iterable[Any]) -> dict[str, Decimal]:
    """Return the price of one unit in BTC by asset, each from its row of the highest worth.

    Binance rounds a valuation to eight places, so the highest one is the most exact.
    """
    best: dict[str, tuple[Decimal, Decimal]] = {}
    for row in rows:
        if not isinstance(row, dict) or not is_whole(row):
            continue
        asset, worth, total = row.get("asset"), amount_or_none(row.get(VALUATION)), held(row)
        if isinstance(asset, str) and worth is not None and worth > best.get(asset, (ZERO, ZERO))[0]:
            best[str(asset)] = (worth, total)
    return {asset: worth / total for asset, (worth, total) in best.items() if total > 0}

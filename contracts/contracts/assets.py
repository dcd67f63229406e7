"""Names of assets at exchanges: which names mean the same asset, and in which unit.

Only names that are listed here are known to be equal. Any other name stays as it is: we do not guess.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

EVERYWHERE = ("binance", "okx")
# Large assets that have the same name at all of these exchanges.
LARGE = (
    *("BTC", "ETH", "USDT", "USDC", "SOL", "XRP", "BNB", "DOGE", "ADA", "TRX", "TON", "AVAX", "DOT", "LINK"),
    *("LTC", "BCH", "ETC", "XLM", "ATOM", "NEAR", "UNI", "AAVE", "FIL", "APT", "ARB", "OP", "SUI", "ICP"),
    *("HBAR", "ALGO", "SHIB", "PEPE", "DAI", "FDUSD", "TUSD", "PYUSD", "EURC", "PAXG", "WBTC", "CRV", "LDO"),
    *("MKR", "COMP", "SNX", "GRT", "SAND", "MANA", "AXS", "IMX", "INJ", "XTZ", "EGLD", "THETA"),
    *("USD", "EUR", "GBP", "AUD", "BRL", "TRY", "JPY", "AED"),
)


class Mapped(msgspec.Struct, frozen=True):
    """The asset that a name means; one of the name is 10 to the power of `power` of the asset."""

    asset: str
    power: int = 0


# The meaning of each name, by exchange and name.
ASSETS: Mapping[tuple[str, str], Mapped] = MappingProxyType(
    {(exchange, name): Mapped(name) for exchange in EVERYWHERE for name in LARGE}
    | {
        ("okx", "SATS"): Mapped("SATS"),
        ("binance", "1000SATS"): Mapped("SATS", 3),
    }
)
# Equal names of different assets that cost nearly the same: each exchange's own token for staked ether.
DISTINCT = frozenset({"BETH"})
# Names about which the table decides; neither prices nor users join them.
DECIDED = frozenset({name for _, name in ASSETS} | {each.asset for each in ASSETS.values()} | DISTINCT)

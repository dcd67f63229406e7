"""The accounts of the simulated Binance, read from a TOML file."""

from collections.abc import Iterable
from ipaddress import ip_network
from pathlib import Path
from typing import Literal

import msgspec

from deploy.simulator.accounts import Recipe, Store
from deploy.simulator.binance import rows as known
from deploy.simulator.binance.rows import Row

GLOBAL = "global"
# The fields of apiRestrictions, which is false for an absent one.
RIGHTS = (
    "enableReading",
    "enableWithdrawals",
    "enableInternalTransfer",
    "enableMargin",
    "enableFutures",
    "permitsUniversalTransfer",
    "enableVanillaOptions",
    "enableFixApiTrade",
    "enableFixReadOnly",
    "enableSpotAndMarginTrading",
    "enablePortfolioMarginTrading",
)
# `asset` of its coin unless another field names it.
TABLES = {
    "spot": known.SPOT_ROW,
    "funding": known.FUNDING_ROW,
    "flexible": known.FLEXIBLE_ROW,
    "locked": known.LOCKED_ROW,
    "onchain": known.ONCHAIN_ROW,
    "dual": known.DUAL_ROW,
    "soft": known.SOFT_ROW,
    "margin": known.MARGIN_ROW,
    "isolated": known.ISOLATED_ROW,
    "usdm": known.FUTURES_ROW,
    "usdm_positions": known.USDM_POSITION,
    "coinm": known.FUTURES_ROW,
    "coinm_positions": known.COINM_POSITION,
    "portfolio": known.PORTFOLIO_ROW,
    "options": known.OPTIONS_ROW,
}
Product = Literal["margin", "futures", "options", "portfolio_margin"]


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account with its one API key of the file and the rows of its wallets.

    A key with `api_secret` signs with HMAC, one with `private_key` with RSA or Ed25519; an account without an
    `api_key` has only keys that are uploaded. `rights` are the rights that the key has, also unknown ones,
    `ip` the addresses or networks that its keys are bound to. `products` are enabled. `in_spot` has the lists
    of spot that show flexible positions as LD rows. `totals` replaces the worth of wallets in wallet/balance,
    or adds wallets, in BTC. `generated` assets stand in spot, `paged` ones in flexible earn. Raises
    ValueError for a row with a field that no table has, and for an `ip` that is not valid.
    """

    name: str
    api_key: str = ""
    api_secret: str = ""
    private_key: str = ""
    region: Literal["global"] = "global"
    uid: int
    rights: dict[str, bool] = msgspec.field(default_factory=lambda: {"enableReading": True})
    ip: tuple[str, ...] = ()
    created: int = 1698645219000
    expires: int | None = None
    products: frozenset[Product] = frozenset()
    in_spot: frozenset[Literal["account", "user_assets"]] = frozenset()
    totals: dict[str, str] = {}
    spot: tuple[Row, ...] = ()
    funding: tuple[Row, ...] = ()
    flexible: tuple[Row, ...] = ()
    locked: tuple[Row, ...] = ()
    onchain: tuple[Row, ...] = ()
    dual: tuple[Row, ...] = ()
    soft: tuple[Row, ...] = ()
    margin: tuple[Row, ...] = ()
    isolated: tuple[Row, ...] = ()
    usdm: tuple[Row, ...] = ()
    usdm_positions: tuple[Row, ...] = ()
    coinm: tuple[Row, ...] = ()
    coinm_positions: tuple[Row, ...] = ()
    portfolio: tuple[Row, ...] = ()
    options: tuple[Row, ...] = ()
    generated: Recipe | None = None
    paged: Recipe | None = None

    def __post_init__(self) -> None:
        unknown = [
            field
            for table, row in TABLES.items()
            for each in getattr(self, table)
            for field in each.keys() - row
        ]
        if unknown:
            raise ValueError(f"account {self.name} has rows with unknown fields: {', '.join(unknown)}")
        if bool(self.api_secret) + bool(self.private_key) != bool(self.api_key):
            raise ValueError(f"account {self.name} needs one secret with a key, and no secret without one")
        for address in self.ip:
            ip_network(address)

    def __repr__(self) -> str:
        return f"Account(name={self.name!r}, uid={self.uid!r}, credentials=***)"

    @property
    def held(self) -> frozenset[str]:
        """Return its assets."""
        listed = (row for table in TABLES for row in getattr(self, table))
        return frozenset(row.get("asset") or row.get("investCoin") for row in listed) - {None}


Accounts = Store[Account]


def load_accounts(path: Path) -> Accounts:
    """Read accounts and prices, and generate the assets of recipes; raises msgspec.ValidationError."""
    listed = msgspec.toml.decode(path.read_bytes(), type=Accounts)
    recipes = [made for each in listed.accounts for made in (each.generated, each.paged) if made]
    made = {name: recipe.price for recipe in recipes for name, _ in recipe.amounts()}
    return Accounts(tuple(_cooked(account) for account in listed.accounts), made | listed.prices)


def _cooked(account: Account) -> Account:
    """Add the generated assets to spot and to flexible earn."""
    spot = [{"asset": name, "free": amount} for name, amount in _amounts(account.generated)]
    flexible = [{"asset": name, "totalAmount": amount} for name, amount in _amounts(account.paged)]
    flexible = [row | {"productId": f"{row['asset']}001"} for row in flexible]
    return msgspec.structs.replace(
        account, spot=(*account.spot, *spot), flexible=(*account.flexible, *flexible)
    )


def _amounts(recipe: Recipe | None) -> Iterable[tuple[str, str]]:
    return recipe.amounts() if recipe else ()

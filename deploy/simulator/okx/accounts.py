"""The accounts that the simulated exchange knows, read from a TOML file."""

from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import Literal

import msgspec

from deploy.simulator.rows import FUNDING_ROW, TRADING_ROW, VALUATION_UNITS, Row


class Region(StrEnum):
    """The sites, each with addresses and accounts of its own."""

    GLOBAL = "global"
    EEA = "eea"
    US = "us"


class Permission(StrEnum):
    """What a key may do, in the order in which the exchange names it."""

    READ_ONLY = "read_only"
    WITHDRAW = "withdraw"
    TRADE = "trade"


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many assets worth so many USD a unit, made by rule."""

    assets: int
    price: Decimal


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account with its one API key and what its wallets hold.

    `account_level` is the account mode (1 spot, 2 futures, 3 multi-currency margin, 4 portfolio margin), `ip`
    the addresses or networks that the key is bound to, `earn` an amount in USD. Raises ValueError for a row
    with a field that the exchange does not document, and for an `ip` that is no address.
    """

    name: str
    api_key: str
    api_secret: str
    passphrase: str
    region: Region
    uid: str
    main_uid: str = ""
    permissions: frozenset[Permission]
    ip: tuple[str, ...] = ()
    account_level: Literal["1", "2", "3", "4"] = "1"
    trading: tuple[Row, ...] = ()
    funding: tuple[Row, ...] = ()
    earn: Decimal = Decimal(0)
    generated: Recipe | None = None

    def __post_init__(self) -> None:
        unknown = [field for row in self.trading for field in row.keys() - TRADING_ROW.keys()]
        unknown += [field for row in self.funding for field in row.keys() - FUNDING_ROW.keys()]
        if unknown:
            raise ValueError(f"account {self.name} has rows with unknown fields: {', '.join(unknown)}")
        for address in self.ip:
            ip_network(address)

    def __repr__(self) -> str:
        return f"Account(name={self.name!r}, uid={self.uid!r}, region={self.region.value!r}, credentials=***)"


class Accounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All accounts, and the price in USD of one unit of each asset; raises ValueError where one has none."""

    accounts: tuple[Account, ...]
    prices: dict[str, Decimal]

    def __post_init__(self) -> None:
        held = {row["ccy"] for account in self.accounts for row in (*account.trading, *account.funding)}
        if unpriced := (held | set(VALUATION_UNITS.split())) - self.prices.keys():
            raise ValueError(f"no price for {', '.join(sorted(unpriced))}")

    def __getitem__(self, name: str) -> Account:
        return {account.name: account for account in self.accounts}[name]

    def find(self, region: Region, api_key: str) -> Account | None:
        """Give the account of this key, but only at the region where it was registered."""
        matches = (account for account in self.accounts if account.api_key == api_key)
        return next((account for account in matches if account.region is region), None)


def load_accounts(path: Path) -> Accounts:
    """Read accounts and prices and make what a recipe asks for; raises msgspec.ValidationError."""
    listed = msgspec.toml.decode(path.read_bytes(), type=Accounts)
    recipes = [account.generated for account in listed.accounts if account.generated]
    made = {name: recipe.price for recipe in recipes for name, _ in _amounts(recipe)}
    return Accounts(tuple(_cooked(account) for account in listed.accounts), made | listed.prices)


def _cooked(account: Account) -> Account:
    """Add the generated assets: every second one in the funding wallet, every tenth in both."""
    if account.generated is None:
        return account
    trading, funding = list(account.trading), list(account.funding)
    for number, (name, amount) in enumerate(_amounts(account.generated), start=1):
        if number % 2 or number % 10 == 0:
            trading.append({"ccy": name, "eq": amount, "cashBal": amount, "availBal": amount})
        if number % 2 == 0:
            funding.append({"ccy": name, "bal": amount, "availBal": amount})
    return msgspec.structs.replace(account, trading=tuple(trading), funding=tuple(funding))


def _amounts(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Name each asset and give its amount, with 18 decimals that differ from asset to asset."""
    for number in range(1, recipe.assets + 1):
        yield f"COIN{number:03d}", f"{number}.{number * 987654321987 % 10**18:018d}"

"""The accounts of the simulated OKX, read from a TOML file."""

from decimal import Decimal
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import Literal

import msgspec

from deploy.simulator.accounts import Recipe, Store
from deploy.simulator.okx.rows import (
    DUAL_ORDER,
    FUNDING_ROW,
    LOAN,
    POSITION,
    SAVINGS_ROW,
    STAKING_ORDER,
    TRADING_ROW,
    VALUATION_UNITS,
    Row,
)


class Region(StrEnum):
    """The sites, each with separate addresses and accounts."""

    GLOBAL = "global"
    EEA = "eea"
    US = "us"


class Permission(StrEnum):
    """The rights of a key, in the exchange's order."""

    READ_ONLY = "read_only"
    WITHDRAW = "withdraw"
    TRADE = "trade"


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account with its one API key and the rows of its wallets.

    `account_level` is the account mode (1 spot, 2 futures, 3 multi-currency margin, 4 portfolio margin), `ip`
    the addresses or networks that the key is bound to. `fixed` is an amount in USD that only the valuation of
    earn shows, `redeeming` has staked amounts (BETH, OKSOL, USDG) that no list shows, `settled` is a number
    of ended dual investments, newer than those of `dual`. Raises ValueError for a row with a field that the
    exchange does not document, and for an `ip` that is not a valid address.
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
    savings: tuple[Row, ...] = ()
    staking: tuple[Row, ...] = ()
    dual: tuple[Row, ...] = ()
    redeeming: dict[str, str] = {}
    fixed: Decimal = Decimal(0)
    settled: int = 0
    positions: tuple[Row, ...] = ()
    loans: tuple[Row, ...] = ()
    generated: Recipe | None = None

    def __post_init__(self) -> None:
        known = (
            (self.trading, TRADING_ROW),
            (self.funding, FUNDING_ROW),
            (self.savings, SAVINGS_ROW),
            (self.staking, STAKING_ORDER),
            (self.dual, DUAL_ORDER),
            (self.positions, POSITION),
            (self.loans, LOAN),
        )
        unknown = [field for rows, row in known for each in rows for field in each.keys() - row.keys()]
        if unknown:
            raise ValueError(f"account {self.name} has rows with unknown fields: {', '.join(unknown)}")
        for address in self.ip:
            ip_network(address)

    def __repr__(self) -> str:
        return f"Account(name={self.name!r}, uid={self.uid!r}, region={self.region.value!r}, credentials=***)"

    @property
    def held(self) -> frozenset[str]:
        """Return its assets."""
        return frozenset(row["ccy"] for row in (*self.trading, *self.funding))


Accounts = Store[Account]


def load_accounts(path: Path) -> Accounts:
    """Read accounts and prices, and generate the assets of recipes; raises msgspec.ValidationError."""
    listed = msgspec.toml.decode(path.read_bytes(), type=Accounts)
    if unpriced := set(VALUATION_UNITS.split()) - listed.prices.keys():
        raise msgspec.ValidationError(f"no price for {', '.join(sorted(unpriced))}")
    recipes = [account.generated for account in listed.accounts if account.generated]
    made = {name: recipe.price for recipe in recipes for name, _ in recipe.amounts()}
    return Accounts(tuple(_cooked(account) for account in listed.accounts), made | listed.prices)


def _cooked(account: Account) -> Account:
    """Add the generated assets: every second one in the funding wallet, every tenth in both."""
    if account.generated is None:
        return account
    trading, funding = list(account.trading), list(account.funding)
    for number, (name, amount) in enumerate(account.generated.amounts(), start=1):
        if number % 2 or number % 10 == 0:
            trading.append({"ccy": name, "eq": amount, "cashBal": amount, "availBal": amount})
        if number % 2 == 0:
            funding.append({"ccy": name, "bal": amount, "availBal": amount})
    return msgspec.structs.replace(account, trading=tuple(trading), funding=tuple(funding))

"""The accounts of a simulated exchange, as a TOML file lists them."""

from collections.abc import Collection, Iterator
from decimal import Decimal
from functools import cached_property
from typing import Generic, Protocol, TypeVar

import msgspec


class Account(Protocol):
    """The fields of an account of any exchange."""

    @property
    def name(self) -> str:
        """The display name, also used by tests."""

    @property
    def api_key(self) -> str:
        """The public part of its key."""

    @property
    def region(self) -> str:
        """The region where it is registered."""

    @property
    def held(self) -> Collection[str]:
        """Return its assets."""


Kind = TypeVar("Kind", bound=Account)


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule for generated assets: their number and the USD price of a unit."""

    assets: int
    price: Decimal

    def amounts(self) -> Iterator[tuple[str, str]]:
        """Return each asset's name and amount, with 18 decimals that differ by asset."""
        for number in range(1, self.assets + 1):
            yield f"COIN{number:03d}", f"{number}.{number * 987654321987 % 10**18:018d}"


class Store(msgspec.Struct, Generic[Kind], frozen=True, forbid_unknown_fields=True, dict=True):
    """All accounts of an exchange, whose key is `exchange`, and the price in USD of one unit of each asset.

    Raises ValueError for an asset without a price.
    """

    accounts: tuple[Kind, ...]
    prices: dict[str, Decimal]
    exchange: str = ""

    def __post_init__(self) -> None:
        held = {asset for account in self.accounts for asset in account.held}
        if unpriced := held - self.prices.keys():
            raise ValueError(f"no price for {', '.join(sorted(unpriced))}")

    def __getitem__(self, name: str) -> Kind:
        return {account.name: account for account in self.accounts}[name]

    @property
    def names(self) -> frozenset[str]:
        """Return the names of all accounts."""
        return frozenset(account.name for account in self.accounts)

    def find(self, region: str, api_key: str) -> Kind | None:
        """Return the account of this key, only in the region where it is registered."""
        return self._by_key.get((region, api_key))

    @cached_property
    def _by_key(self) -> dict[tuple[str, str], Kind]:
        return {(account.region, account.api_key): account for account in reversed(self.accounts)}

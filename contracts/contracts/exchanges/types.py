"""The exchanges that a user can connect, self-describing."""

import re

import msgspec

# What a name of an asset is where an exchange's entry does not say otherwise.
ASSET_NAMES = r"[A-Za-z0-9._-]{1,32}"


class Region(msgspec.Struct, frozen=True):
    """Where the user registered at the exchange; each has a host of its own."""

    key: str
    name: str
    host: str


class UnservedRegion(msgspec.Struct, frozen=True):
    """A part of an exchange whose accounts can not be connected, and why."""

    key: str
    name: str
    reason: str


class CredentialField(msgspec.Struct, frozen=True):
    """One part of an API key as the exchange hands it out."""

    key: str
    name: str
    secret: bool


class Wallet(msgspec.Struct, frozen=True):
    """A place where an exchange keeps assets; one that is not covered is named but not read."""

    key: str
    name: str
    covered: bool = True


class Exchange(msgspec.Struct, frozen=True):
    """What the system knows of an exchange before any account is connected.

    `read_only_permissions` are the rights of a key that may only read, `further_permissions` those that are
    known to be more. A right that is in neither is not known.
    `asset_names` is the pattern of what the exchange calls its assets: no other name is shown to a user.
    """

    key: str
    name: str
    regions: tuple[Region, ...]
    credential_fields: tuple[CredentialField, ...]
    wallets: tuple[Wallet, ...]
    read_only_permissions: frozenset[str]
    further_permissions: frozenset[str]
    asset_names: str = ASSET_NAMES
    unserved_regions: tuple[UnservedRegion, ...] = ()

    def region(self, key: str) -> Region | None:
        """Find a region by its key."""
        return next((region for region in self.regions if region.key == key), None)

    def names_asset(self, text: str) -> bool:
        """Tell whether the exchange can call an asset so."""
        return re.fullmatch(self.asset_names, text) is not None

    def unserved_region(self, key: str) -> UnservedRegion | None:
        """Find a region that is not served by its key, in letters of any case."""
        return next((each for each in self.unserved_regions if each.key == key.strip().casefold()), None)

    @property
    def covered_wallets(self) -> tuple[str, ...]:
        """Give the keys of the wallets that a sync reads."""
        return tuple(wallet.key for wallet in self.wallets if wallet.covered)


OKX = Exchange(
    key="okx",
    name="OKX",
    regions=(
        Region("global", "Global (www.okx.com)", "https://openapi.okx.com"),
        Region("eea", "Europe (my.okx.com)", "https://eea.okx.com"),
        Region("us", "United States and Australia (app.okx.com)", "https://us.okx.com"),
    ),
    credential_fields=(
        CredentialField("api_key", "API key", secret=False),
        CredentialField("api_secret", "Secret key", secret=True),
        CredentialField("passphrase", "Passphrase", secret=True),
    ),
    wallets=(
        Wallet("trading", "Trading account"),
        Wallet("funding", "Funding account"),
        Wallet("earn", "Earn", covered=False),
    ),
    read_only_permissions=frozenset({"read_only"}),
    further_permissions=frozenset({"trade", "withdraw"}),
    # Apart from `regions`: programs offer those for choice.
    unserved_regions=(
        UnservedRegion("tr", "OKX Türkiye (tr.okx.com)", "It has a host and accounts of its own."),
        UnservedRegion("demo", "OKX demo trading", "Its balances are not real."),
    ),
)

EXCHANGES: dict[str, Exchange] = {exchange.key: exchange for exchange in (OKX,)}

"""What the system knows of an exchange: the types of the entries beside this file."""

import re

import msgspec

# What a name of an asset is where an exchange's entry does not say otherwise.
ASSET_NAMES = r"[A-Za-z0-9._-]{1,32}"
# An HTTP library could encode another value anew after it was signed.
VALUE = re.compile(r"[A-Za-z0-9._,-]{1,256}", re.ASCII)


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


class ReadNotAllowed(Exception):
    """A read that is not on the list, or whose query could be misread."""


class Read(msgspec.Struct, frozen=True):
    """A read by its name in the list, with its query in the order in which it is sent."""

    name: str
    query: dict[str, str] = {}


class Endpoint(msgspec.Struct, frozen=True):
    """What a named read is at the exchange."""

    method: str
    path: str
    query_keys: frozenset[str] = frozenset()


class Exchange(msgspec.Struct, frozen=True):
    """What the system knows of an exchange before any account is connected.

    `read_only_permissions` are the rights of a key that may only read, `further_permissions` those that are
    known to be more. A right that is in neither is not known.
    `asset_names` is the pattern of what the exchange calls its assets: no other name is shown to a user.
    `reads` are all that the system may ever ask of it, by name, and `scheme` names how the broker signs them;
    `verify_reads` and `sync_reads` are those that a grant for verifying and one for a sync cover.
    """

    key: str
    name: str
    regions: tuple[Region, ...]
    credential_fields: tuple[CredentialField, ...]
    wallets: tuple[Wallet, ...]
    read_only_permissions: frozenset[str]
    further_permissions: frozenset[str]
    scheme: str
    reads: dict[str, Endpoint]
    verify_reads: frozenset[str]
    sync_reads: frozenset[str]
    asset_names: str = ASSET_NAMES
    unserved_regions: tuple[UnservedRegion, ...] = ()

    def request_line(self, read: Read) -> tuple[str, str]:
        """Give method and request target of a read, exactly as it is signed and sent.

        Raises ReadNotAllowed for a name or a query key that is not on the list, and for a value outside
        `[A-Za-z0-9._,-]`.
        """
        endpoint = self.reads.get(read.name)
        if endpoint is None:
            raise ReadNotAllowed("this read is not on the list")
        for key, value in read.query.items():
            if key not in endpoint.query_keys or not VALUE.fullmatch(value):
                raise ReadNotAllowed(f"this query is not allowed for {read.name}")
        query = "&".join(f"{key}={value}" for key, value in read.query.items())
        return endpoint.method, endpoint.path + ("?" + query if query else "")

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

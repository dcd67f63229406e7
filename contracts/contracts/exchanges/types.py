"""The types of the catalogue's entries, which are the files beside this one."""

import re
from collections.abc import Mapping
from typing import Literal

import msgspec

from contracts.exchanges.keys import CredentialKind

# The default pattern for the names of assets.
ASSET_NAMES = r"[A-Za-z0-9._-]{1,32}"
# An HTTP library could re-encode any other value after it was signed.
VALUE = re.compile(r"[A-Za-z0-9._,-]{1,256}", re.ASCII)
# The values of a scheme's own keys: a number, or a signature in hex or base64, escaped or not.
ADDED = re.compile(r"[A-Za-z0-9._,=/%+-]{1,1024}", re.ASCII)
# The name of a region's main host; a region may have more hosts.
OWN = ""

Method = Literal["GET", "POST"]
Encoding = Literal["form", "json"]


class Region(msgspec.Struct, frozen=True):
    """A region of the exchange in which users register; it has a main host, and more hosts by name."""

    key: str
    name: str
    host: str
    further_hosts: dict[str, str] = {}

    @property
    def hosts(self) -> dict[str, str]:
        """Return the origins of all hosts by name."""
        return {OWN: self.host, **self.further_hosts}


class UnservedRegion(msgspec.Struct, frozen=True):
    """A part of an exchange whose accounts users cannot connect, with the reason."""

    key: str
    name: str
    reason: str


class Wallet(msgspec.Struct, frozen=True):
    """A place where an exchange keeps assets; syncs name a wallet that is not covered but do not read it."""

    key: str
    name: str
    covered: bool = True


class ReadNotAllowed(Exception):
    """The read is not on the exchange's list, or its query or body is not allowed."""


class Read(msgspec.Struct, frozen=True):
    """A read by its name in the list, with its query and body in the order in which they are sent."""

    name: str
    query: dict[str, str] = {}
    body: dict[str, str] = {}


class Endpoint(msgspec.Struct, frozen=True):
    """The endpoint of a named read at the exchange; `host` is one of the names of each region's hosts."""

    method: Method
    path: str
    query_keys: frozenset[str] = frozenset()
    body_keys: frozenset[str] = frozenset()
    host: str = OWN


class PublicRead(msgspec.Struct, frozen=True):
    """A GET without a signature: its name, its target with the query, and the host as for an endpoint."""

    name: str
    target: str
    host: str = OWN


class Budget(msgspec.Struct, frozen=True):
    """A limit of an exchange for one egress address: calls of a weight of `most` in any `seconds`.

    With `bursts` it allows all of them at once; otherwise we spread them over the window. With `most` 0 the
    exchange documents no limit; an operator may set one, and refusals teach one. Of one that `counts_all`,
    each call to the exchange takes at least 1.
    """

    key: str
    most: int
    seconds: float
    counts_all: bool = False
    bursts: bool = False


class Request(msgspec.Struct, frozen=True):
    """A read written as an HTTP request; a scheme may add to its query and body."""

    method: Method
    path: str
    host: str = OWN
    query: dict[str, str] = {}
    body: dict[str, str] = {}
    encoding: Encoding = "form"

    @property
    def target(self) -> str:
        """Return path and query as signed and sent, without any encoding."""
        return self.path + ("?" + _form(self.query) if self.query else "")

    @property
    def content(self) -> str:
        """Return the body as signed and sent, or an empty text for a request without one."""
        if not self.body:
            return ""
        return _form(self.body) if self.encoding == "form" else msgspec.json.encode(self.body).decode()

    def adding(self, **pairs: Mapping[str, str]) -> "Request":
        """Return the request with the pairs appended to its `query` or its `body`."""
        added = {part: {**getattr(self, part), **more} for part, more in pairs.items()}
        return msgspec.structs.replace(self, **added)


class Exchange(msgspec.Struct, frozen=True):
    """The catalogue entry of one exchange.

    `credential_kinds` are the kinds of keys that it accepts, the best one first.
    `read_only_permissions` are the rights that a key may have and still only reads; `required_permissions`
    are those of them that it must have, all of them if that set is empty. `further_permissions` are the known
    rights that allow more. A right in none of these sets is unknown. `warned_permissions` are read-only
    rights with a text that users see beside the key.
    `asset_names` is the pattern of the exchange's asset names: we show users no other name.
    `position_wallets` are the wallets whose open positions a sync reads. `valued_wallets` are those that the
    exchange values in a read of every sync, and that need many reads themselves: a sync may leave one unread.
    `replacing_wallets` are the wallets that take the place of other ones where the exchange says so.
    `added_wallets` are the wallets that gateways of the first release do not cover. `sub_account_wallets` are
    the wallets of a sub-account that the key of its master reads, empty if no key lists sub-accounts.
    `row_fields` are the fields of its rows that a message about an unreadable row may name.
    `reads` are all requests that the system may ever send to it, by name; `scheme` names the way in which the
    broker signs them. A grant for a verification covers `verify_reads`, one for a sync covers `sync_reads`. A
    scheme adds only `signing_keys` to a query or a body. Bodies are written in `encoding`.
    `price_reads` are public reads of its lists of prices, at the first region.
    `budgets` are its limits per address, and `costs` has the weight that a read, signed or public, takes from
    each of them, by the name of the read.
    `status_read` is the public read, in each region, of the maintenance that it announces. `closing_codes`
    are its error codes that mean that the whole exchange is not available, not one endpoint or feature.
    `address_codes` are those that refuse a call because of a limit of our address, also of a signed read.
    With `joined_causes` the exchange has one code for a wrong key, another address and a missing right. A
    signed read is sent within `signed_seconds` of the time that it is signed for. The broker signs at most
    `most_batches` batches for one grant.
    """

    key: str
    name: str
    regions: tuple[Region, ...]
    credential_kinds: tuple[CredentialKind, ...]
    wallets: tuple[Wallet, ...]
    read_only_permissions: frozenset[str]
    further_permissions: frozenset[str]
    scheme: str
    reads: dict[str, Endpoint]
    verify_reads: frozenset[str]
    sync_reads: frozenset[str]
    asset_names: str = ASSET_NAMES
    position_wallets: tuple[str, ...] = ()
    valued_wallets: tuple[str, ...] = ()
    replacing_wallets: dict[str, tuple[str, ...]] = {}
    added_wallets: tuple[str, ...] = ()
    sub_account_wallets: tuple[str, ...] = ()
    row_fields: tuple[str, ...] = ()
    unserved_regions: tuple[UnservedRegion, ...] = ()
    signing_keys: frozenset[str] = frozenset()
    price_reads: tuple[PublicRead, ...] = ()
    encoding: Encoding = "form"
    budgets: tuple[Budget, ...] = ()
    costs: dict[str, dict[str, int]] = {}
    status_read: PublicRead | None = None
    closing_codes: frozenset[str] = frozenset()
    address_codes: frozenset[str] = frozenset()
    joined_causes: bool = False
    required_permissions: frozenset[str] = frozenset()
    warned_permissions: dict[str, str] = {}
    signed_seconds: float = 30.0
    most_batches: int = 16

    def __post_init__(self) -> None:
        """Refuse an entry that contradicts itself; raises ValueError."""
        self._check_kinds()
        if not self.verify_reads | self.sync_reads <= self.reads.keys():
            raise ValueError(f"{self.key}: a purpose covers a read that is not on the list")
        if any(read.host not in self.regions[0].hosts for read in self.price_reads):
            raise ValueError(f"{self.key}: a read of prices is at a host that the first region lacks")
        if not {key for cost in self.costs.values() for key in cost} <= {each.key for each in self.budgets}:
            raise ValueError(f"{self.key}: a read takes from a budget that is not on the list")
        for endpoint in self.reads.values():
            if not all(endpoint.host in region.hosts for region in self.regions):
                raise ValueError(f"{self.key}: {endpoint.path} is at a host that a region lacks")
            if self.signing_keys & (endpoint.query_keys | endpoint.body_keys):
                raise ValueError(f"{self.key}: {endpoint.path} takes a key that the scheme adds")

    def request(self, read: Read) -> Request:
        """Return the unsigned request of a read.

        Raises ReadNotAllowed for a name or a key that is not on the list, and for a value outside
        `[A-Za-z0-9._,-]`.
        """
        endpoint = self.reads.get(read.name)
        if endpoint is None:
            raise ReadNotAllowed("this read is not on the list")
        for given, allowed in ((read.query, endpoint.query_keys), (read.body, endpoint.body_keys)):
            if not given.keys() <= allowed or not all(map(VALUE.fullmatch, given.values())):
                raise ReadNotAllowed(f"this query is not allowed for {read.name}")
        return Request(
            endpoint.method, endpoint.path, endpoint.host, dict(read.query), dict(read.body), self.encoding
        )

    def cost(self, read: str) -> dict[str, int]:
        """Return the weight that a read takes from each budget: 1 of one that counts all calls, or more."""
        return {each.key: 1 for each in self.budgets if each.counts_all} | self.costs.get(read, {})

    def asks_only(self, read: Read, method: str, host: str, target: str, content: str) -> bool:
        """Return whether a request is a read of the list with only the keys that its scheme adds.

        Refuses a repeated key, because the exchange could use another of its values than we do. Raises
        ReadNotAllowed.
        """
        asked = self.request(read)
        path, _, query = target.partition("?")
        sent = msgspec.structs.replace(asked, path=path, query=_pairs(query), body=self._read_body(content))
        unsigned = msgspec.structs.replace(
            sent, query=self._without_added(sent.query), body=self._without_added(sent.body)
        )
        added = [pairs.get(key, "1") for pairs in (sent.query, sent.body) for key in self.signing_keys]
        return (
            (method, host) == (asked.method, asked.host)
            and all(ADDED.fullmatch(value) for value in added)
            and (sent.target, sent.content) == (target, content)
            and (unsigned.target, unsigned.content) == (asked.target, asked.content)
        )

    def region(self, key: str) -> Region | None:
        """Find a region by its key."""
        return next((region for region in self.regions if region.key == key), None)

    def names_asset(self, text: str) -> bool:
        """Return whether a text can be the exchange's name of an asset."""
        return re.fullmatch(self.asset_names, text) is not None

    def unserved_region(self, key: str) -> UnservedRegion | None:
        """Find an unserved region by its key, ignoring case."""
        return next((each for each in self.unserved_regions if each.key == key.strip().casefold()), None)

    @property
    def typed(self) -> tuple[CredentialKind, ...]:
        """Return the kinds of keys whose signing field a user types."""
        return tuple(kind for kind in self.credential_kinds if not kind.born)

    def kind(self, key: str) -> CredentialKind | None:
        """Find a kind of key; the empty text stands for the first typed one."""
        if not key:
            return self.typed[0]
        return next((kind for kind in self.credential_kinds if kind.key == key), None)

    @property
    def needed_permissions(self) -> frozenset[str]:
        """Return the rights without which a key can not read."""
        return self.required_permissions or self.read_only_permissions

    @property
    def covered_wallets(self) -> tuple[str, ...]:
        """Return the keys of the wallets that a sync reads."""
        return tuple(wallet.key for wallet in self.wallets if wallet.covered)

    def _check_kinds(self) -> None:
        kinds = self.credential_kinds
        if len({kind.key for kind in kinds}) != len(kinds) or not self.typed:
            raise ValueError(f"{self.key}: each kind of key needs a name of its own, and one is typed")
        faults = (kind.fault() for kind in kinds)
        if fault := next(filter(None, faults), None):
            raise ValueError(f"{self.key}: {fault}")

    def _without_added(self, pairs: Mapping[str, str]) -> dict[str, str]:
        return {key: value for key, value in pairs.items() if key not in self.signing_keys}

    def _read_body(self, content: str) -> dict[str, str]:
        if self.encoding == "form" or not content:
            return _pairs(content)
        try:
            return msgspec.json.decode(content, type=dict[str, str])
        except msgspec.DecodeError:
            return {}


def _form(pairs: Mapping[str, str]) -> str:
    return "&".join(f"{key}={value}" for key, value in pairs.items())


def _pairs(text: str) -> dict[str, str]:
    """Parse the output of `_form`; for any other text, `_form` of the result differs from that text."""
    halves = [pair.partition("=") for pair in text.split("&") if pair]
    return {key: value for key, _, value in halves}

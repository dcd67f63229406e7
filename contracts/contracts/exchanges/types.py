"""What the system knows of an exchange: the types of the entries beside this file."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

import msgspec

# What a name of an asset is where an exchange's entry does not say otherwise.
ASSET_NAMES = r"[A-Za-z0-9._-]{1,32}"
# An HTTP library could encode another value anew after it was signed.
VALUE = re.compile(r"[A-Za-z0-9._,-]{1,256}", re.ASCII)
# The vault's record of a credential holds its exchange under this name, beside the fields.
RESERVED = "exchange"
# The name of a region's own host, beside which it may have others.
OWN = ""

Method = Literal["GET", "POST"]
Encoding = Literal["form", "json"]


class Region(msgspec.Struct, frozen=True):
    """Where the user registered at the exchange; each has a host of its own, and further ones by name."""

    key: str
    name: str
    host: str
    further_hosts: dict[str, str] = {}

    @property
    def hosts(self) -> dict[str, str]:
        """Give the origins of all hosts by name."""
        return {OWN: self.host, **self.further_hosts}


class UnservedRegion(msgspec.Struct, frozen=True):
    """A part of an exchange whose accounts can not be connected, and why."""

    key: str
    name: str
    reason: str


class Form(StrEnum):
    """How the value of a field is written; a PEM is that of a private key."""

    TEXT = "text"
    BASE64 = "base64"
    PEM = "pem"


class Curve(StrEnum):
    """What a private key is on."""

    P256 = "P-256"
    ED25519 = "Ed25519"


class CredentialField(msgspec.Struct, frozen=True):
    """One part of an API key as the exchange hands it out.

    `form` is what its value must be: printable ASCII, base64, or the PEM of a private key on `curve`; it has
    `shortest` to `longest` characters. The field that `signs` becomes a key in the vault, which nothing can
    read again. `help` tells a user where to find the value.
    """

    key: str
    name: str
    secret: bool
    form: Form = Form.TEXT
    shortest: int = 1
    longest: int = 256
    signs: bool = False
    curve: Curve | None = None
    help: str = ""


class Wallet(msgspec.Struct, frozen=True):
    """A place where an exchange keeps assets; one that is not covered is named but not read."""

    key: str
    name: str
    covered: bool = True


class ReadNotAllowed(Exception):
    """A read that is not on the list, or whose query could be misread."""


class Read(msgspec.Struct, frozen=True):
    """A read by its name in the list, with its query and its body in the order in which they are sent."""

    name: str
    query: dict[str, str] = {}
    body: dict[str, str] = {}


class Endpoint(msgspec.Struct, frozen=True):
    """What a named read is at the exchange; `host` is one of the names of each region's hosts."""

    method: Method
    path: str
    query_keys: frozenset[str] = frozenset()
    body_keys: frozenset[str] = frozenset()
    host: str = OWN


class Request(msgspec.Struct, frozen=True):
    """A read written out; a scheme may add to its query and its body."""

    method: Method
    path: str
    host: str = OWN
    query: dict[str, str] = {}
    body: dict[str, str] = {}
    encoding: Encoding = "form"

    @property
    def target(self) -> str:
        """Give path and query as they are signed and sent, without any encoding."""
        return self.path + ("?" + _form(self.query) if self.query else "")

    @property
    def content(self) -> str:
        """Give the body as it is signed and sent; empty where there is none."""
        if not self.body:
            return ""
        return _form(self.body) if self.encoding == "form" else msgspec.json.encode(self.body).decode()

    def adding(self, **pairs: Mapping[str, str]) -> "Request":
        """Give the request with more at the end of its `query` or its `body`."""
        added = {part: {**getattr(self, part), **more} for part, more in pairs.items()}
        return msgspec.structs.replace(self, **added)


class Exchange(msgspec.Struct, frozen=True):
    """What the system knows of an exchange before any account is connected.

    `read_only_permissions` are the rights of a key that may only read, `further_permissions` those that are
    known to be more. A right that is in neither is not known.
    `asset_names` is the pattern of what the exchange calls its assets: no other name is shown to a user.
    `row_fields` are the fields of its rows that the words about an unreadable row may name.
    `reads` are all that the system may ever ask of it, by name, and `scheme` names how the broker signs them;
    `verify_reads` and `sync_reads` are those that a grant for verifying and one for a sync cover. A scheme
    adds nothing to a query or a body but `signing_keys`. Bodies are written in `encoding`.
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
    row_fields: tuple[str, ...] = ()
    unserved_regions: tuple[UnservedRegion, ...] = ()
    signing_keys: frozenset[str] = frozenset()
    encoding: Encoding = "form"

    def __post_init__(self) -> None:
        """Refuse an entry that contradicts itself; raises ValueError."""
        fields = self.credential_fields
        if len({RESERVED, *(field.key for field in fields)}) != len(fields) + 1:
            raise ValueError(f"{self.key}: each field needs a name of its own")
        if sum(field.signs for field in fields) != 1:
            raise ValueError(f"{self.key}: one field signs")
        if any((field.form is Form.PEM) != (field.signs and field.curve is not None) for field in fields):
            raise ValueError(f"{self.key}: a PEM is what signs, and has a curve")
        for endpoint in self.reads.values():
            if not all(endpoint.host in region.hosts for region in self.regions):
                raise ValueError(f"{self.key}: {endpoint.path} is at a host that a region lacks")
            if self.signing_keys & (endpoint.query_keys | endpoint.body_keys):
                raise ValueError(f"{self.key}: {endpoint.path} takes a key that the scheme adds")

    def request(self, read: Read) -> Request:
        """Write a read out as it is before it is signed.

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

    def asks_only(self, read: Read, method: str, host: str, target: str, content: str) -> bool:
        """Tell whether what is sent is a read of the list and what its scheme adds, and nothing else.

        A key that stands twice is refused: the exchange could take another one than we. Raises
        ReadNotAllowed.
        """
        asked = self.request(read)
        path, _, query = target.partition("?")
        sent = msgspec.structs.replace(asked, path=path, query=_pairs(query), body=self._read_body(content))
        unsigned = msgspec.structs.replace(
            sent, query=self._without_added(sent.query), body=self._without_added(sent.body)
        )
        return (
            (method, host) == (asked.method, asked.host)
            and (sent.target, sent.content) == (target, content)
            and (unsigned.target, unsigned.content) == (asked.target, asked.content)
        )

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
    def signing_field(self) -> CredentialField:
        """Give the field that becomes the key in the vault."""
        return next(field for field in self.credential_fields if field.signs)

    @property
    def sealed_fields(self) -> tuple[CredentialField, ...]:
        """Give the other fields, which the exchange sees in clear."""
        return tuple(field for field in self.credential_fields if not field.signs)

    @property
    def covered_wallets(self) -> tuple[str, ...]:
        """Give the keys of the wallets that a sync reads."""
        return tuple(wallet.key for wallet in self.wallets if wallet.covered)

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
    """Read what `_form` writes; of anything else it gives what is not written so again."""
    halves = [pair.partition("=") for pair in text.split("&") if pair]
    return {key: value for key, _, value in halves}

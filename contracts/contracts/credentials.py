"""Requests about a credential, to the vault-broker and the worker. No message carries a secret in clear."""

from typing import Annotated
from uuid import UUID

import msgspec

from contracts.exchanges.types import OWN, Read
from contracts.faults import CodeText, EndpointName, ExchangeCode, Failure, failure
from contracts.rights import MAX_RIGHTS
from contracts.syncs import AccountUid, KeyFacts, Right
from contracts.values import AwareTime, Secret

MAX_READS = 16
# The gateway's timeout for storing a credential.
STORE_SECONDS = 8.0

MAX_ADDRESSES = 256
# An IP address or a network that a key is bound to.
Bound = Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-Fa-f.:/]{1,64}\Z")]

# The kind of a key, empty for the first typed one of its exchange.
KindName = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9_]{0,32}\Z")]
SealedBytes = Annotated[bytes, msgspec.Meta(max_length=256 * 1024)]


# The fields of a credential by name, without the signing field: the exchange sees them in clear. The gateway
# only ever seals them to the broker.
Fields = dict[str, Secret]


class SignedRead(msgspec.Struct, frozen=True):
    """One signed read; `target` is path and query exactly as signed, and must be sent without re-encoding.

    `host` is the name of one of the region's hosts. `body` is sent unchanged.
    """

    name: str
    method: str
    target: str
    headers: dict[str, Secret]
    host: str = OWN
    body: Secret | None = None

    @property
    def content(self) -> str:
        """Return the body, or an empty text for a read without one."""
        return self.body.reveal() if self.body else ""

    @property
    def sent(self) -> tuple[Secret, ...]:
        """Return all parts of the request that are sent to the exchange, except method and path."""
        return *self.headers.values(), Secret(self.target.partition("?")[2]), Secret(self.content)


class SignedReads(msgspec.Struct, frozen=True):
    """The signed reads in the order of the request; the broker only ever seals them to the asking worker."""

    reads: tuple[SignedRead, ...]


class AskKeys(msgspec.Struct, frozen=True):
    """Ask for the public keys of the vault and the broker."""


class Keys(msgspec.Struct, frozen=True, tag="keys"):
    """The public keys that a gateway needs to send a credential.

    `wrapping_key` is Vault's transit import key (PEM, RSA-4096), `sealing_key` the broker's X25519 key (raw).
    """

    wrapping_key: str
    sealing_key: bytes
    sealing_key_id: str


class Store(msgspec.Struct, frozen=True):
    """Store a new credential before the deadline; never sent twice with the same `credential_id`.

    `wrapped_secret` is the signing field, wrapped with Vault's key. `sealed_parts` is a JSON object of the
    other fields (texts by name), sealed to the broker's key and bound to the subject, `credential_id` and
    `request_id`. `kind` is the kind of the key, empty for the first typed one. A credential of a born kind
    names the `offer` whose key signs for it, and its `wrapped_secret` is empty. The gateway makes `signature`
    with its grant key, so that an attacker cannot store a recorded message under another id; a gateway of the
    previous release sends none.
    """

    request_id: UUID
    credential_id: UUID
    exchange: str
    sealing_key_id: str
    wrapped_secret: SealedBytes
    sealed_parts: SealedBytes
    deadline: AwareTime
    signature: Annotated[str, msgspec.Meta(max_length=128)] | None = None
    kind: KindName = ""
    offer: UUID | None = None


class Stored(msgspec.Struct, frozen=True, tag="stored"):
    """The credential is in the vault."""


class OfferKey(msgspec.Struct, frozen=True):
    """Make a signing key in the vault for a key offer, before the deadline; never sent twice for an offer.

    The gateway signs all fields with its grant key, as in Store.
    """

    request_id: UUID
    offer_id: UUID
    exchange: str
    kind: KindName
    deadline: AwareTime
    signature: Annotated[str, msgspec.Meta(max_length=128)] | None = None


class KeyOffered(msgspec.Struct, frozen=True, tag="key_offered"):
    """The public key of an offer: the 32 raw bytes of an Ed25519 key."""

    public_key: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class Destroy(msgspec.Struct, frozen=True):
    """Destroy a credential or the key of an offer; repeating the request is harmless.

    The gateway signs both ids with its grant key, because outcomes and grants name credentials, too. A
    gateway of the previous release sends neither `request_id` nor `signature`.
    """

    credential_id: UUID
    request_id: UUID | None = None
    signature: Annotated[str, msgspec.Meta(max_length=128)] | None = None


class Destroyed(msgspec.Struct, frozen=True, tag="destroyed"):
    """The vault holds no part of the credential any more."""


class Authorize(msgspec.Struct, frozen=True):
    """Sign a batch of named reads for one credential.

    `exchange_time_ms` is the exchange's clock, milliseconds since the epoch; `seal_to` is the worker's raw
    X25519 key; `grant` is the gateway's signed permission.
    """

    request_id: UUID
    credential_id: UUID
    exchange: str
    exchange_time_ms: int
    reads: Annotated[tuple[Read, ...], msgspec.Meta(min_length=1, max_length=MAX_READS)]
    seal_to: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    grant: Annotated[str, msgspec.Meta(max_length=1024)]


class Authorized(msgspec.Struct, frozen=True, tag="authorized"):
    """The signed reads, sealed to the asking worker and bound to the request as in Store."""

    sealed_reads: bytes


class Verify(msgspec.Struct, frozen=True):
    """Read the owner and the rights of a credential before the gateway accepts it.

    With `rights_only` the gateway knows the account already, and the worker reads only its uid and the
    rights. A worker of the previous release reads all.
    """

    credential_id: UUID
    exchange: str
    region: str
    grant: str
    deadline: AwareTime
    rights_only: bool = False


class Verified(msgspec.Struct, frozen=True, tag="verified"):
    """The owner, rights and bound addresses of a credential as the exchange reports them.

    `exchange_uid` is the account of the key; `master_uid` is its master, equal for a master account.
    `permissions` are the exchange's own words, for OKX of read_only, trade, withdraw.
    `bound_addresses` are the IP addresses that the key is bound to, empty when it is not bound.
    """

    exchange_uid: AccountUid
    master_uid: AccountUid
    permissions: Annotated[tuple[Right, ...], msgspec.Meta(max_length=MAX_RIGHTS)]
    bound_addresses: Annotated[tuple[Bound, ...], msgspec.Meta(max_length=MAX_ADDRESSES)]
    key: KeyFacts = KeyFacts()


class VerifiedRights(msgspec.Struct, frozen=True, tag="verified_rights"):
    """The uid and the rights of a credential, in the exchange's own words, and what it tells of the key.

    A worker of the previous release tells nothing of the key.
    """

    exchange_uid: AccountUid
    permissions: Annotated[tuple[Right, ...], msgspec.Meta(max_length=MAX_RIGHTS)]
    key: KeyFacts = KeyFacts()


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The reason why the service refused a request; `detail` is for people and never holds a credential."""

    code: CodeText
    detail: str = ""
    retry_after: float | None = None
    exchange_code: ExchangeCode | None = None
    endpoint: EndpointName | None = None

    def failure(self) -> Failure:
        """Return the exception that the caller raises for this refusal."""
        return failure(
            self.code, self.detail, self.retry_after, exchange_code=self.exchange_code, endpoint=self.endpoint
        )


KeysReply = Keys | Refused
OfferReply = KeyOffered | Refused
StoreReply = Stored | Refused
DestroyReply = Destroyed | Refused
AuthorizeReply = Authorized | Refused
VerifyReply = Verified | Refused
RightsReply = VerifiedRights | Verified | Refused

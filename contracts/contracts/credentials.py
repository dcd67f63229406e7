"""What the vault-broker is asked and what it answers. No message carries a secret in clear."""

from typing import Annotated
from uuid import UUID

import msgspec

from contracts.exchanges.types import OWN, Read
from contracts.faults import CodeText, EndpointName, ExchangeCode, Failure, failure
from contracts.values import AwareTime, Secret

MAX_READS = 16
# How long a gateway waits until a credential is stored.
STORE_SECONDS = 8.0

SealedBytes = Annotated[bytes, msgspec.Meta(max_length=256 * 1024)]


# The fields of a credential by name, but for the one that signs: what the exchange sees in clear. They are
# only ever sealed to the broker.
Fields = dict[str, Secret]


class SignedRead(msgspec.Struct, frozen=True):
    """One signed read; `target` is path and query exactly as signed, to be sent without re-encoding.

    `host` is the name of one of the region's hosts, and `body` is sent as it is.
    """

    name: str
    method: str
    target: str
    headers: dict[str, Secret]
    host: str = OWN
    body: Secret | None = None

    @property
    def content(self) -> str:
        """Give the body, empty where there is none."""
        return self.body.reveal() if self.body else ""

    @property
    def sent(self) -> tuple[Secret, ...]:
        """Give all that the exchange is told, but for method and path."""
        return *self.headers.values(), Secret(self.target.partition("?")[2]), Secret(self.content)


class SignedReads(msgspec.Struct, frozen=True):
    """The answer to Authorize in the order asked; only ever sealed to the asking worker."""

    reads: tuple[SignedRead, ...]


class AskKeys(msgspec.Struct, frozen=True):
    """Ask for the public keys of the vault and the broker."""


class Keys(msgspec.Struct, frozen=True, tag="keys"):
    """The public keys that a gateway needs to hand over a credential.

    `wrapping_key` is Vault's transit import key (PEM, RSA-4096); `sealing_key` the broker's X25519 key (raw).
    """

    wrapping_key: str
    sealing_key: bytes
    sealing_key_id: str


class Store(msgspec.Struct, frozen=True):
    """Keep a new credential before the deadline; never sent twice with the same `credential_id`.

    `wrapped_secret` is the field that signs under Vault's wrapping key; `sealed_parts` the other fields,
    a JSON object of texts by name, under the broker's sealing key, bound to the subject, `credential_id` and
    `request_id`. `signature` is the
    gateway's, by its grant key, so that a recorded message can not be stored under another id; a gateway of
    before sends none.
    """

    request_id: UUID
    credential_id: UUID
    exchange: str
    sealing_key_id: str
    wrapped_secret: SealedBytes
    sealed_parts: SealedBytes
    deadline: AwareTime
    signature: Annotated[str, msgspec.Meta(max_length=128)] | None = None


class Stored(msgspec.Struct, frozen=True, tag="stored"):
    """The credential is in the vault."""


class Destroy(msgspec.Struct, frozen=True):
    """Destroy a credential; asking again is harmless.

    `signature` is the gateway's, by its grant key, over both ids, because outcomes and grants name
    credentials, too; a gateway of before sends neither `request_id` nor `signature`.
    """

    credential_id: UUID
    request_id: UUID | None = None
    signature: Annotated[str, msgspec.Meta(max_length=128)] | None = None


class Destroyed(msgspec.Struct, frozen=True, tag="destroyed"):
    """Nothing of the credential is left in the vault."""


class Authorize(msgspec.Struct, frozen=True):
    """Sign a batch of named reads for one credential.

    `exchange_time_ms` is the exchange's clock, milliseconds since the epoch; `seal_to` the worker's raw
    X25519 key; `grant` the gateway's signed permission.
    """

    request_id: UUID
    credential_id: UUID
    exchange: str
    exchange_time_ms: int
    reads: Annotated[tuple[Read, ...], msgspec.Meta(min_length=1, max_length=MAX_READS)]
    seal_to: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    grant: Annotated[str, msgspec.Meta(max_length=1024)]


class Authorized(msgspec.Struct, frozen=True, tag="authorized"):
    """The signed reads, sealed to the asking worker, bound to the request as in Store."""

    sealed_reads: bytes


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """Why a request was not carried out; `detail` is for people and never holds a credential."""

    code: CodeText
    detail: str = ""
    retry_after: float | None = None
    exchange_code: ExchangeCode | None = None
    endpoint: EndpointName | None = None

    def failure(self) -> Failure:
        """Give the exception that this refusal means to the one who asked."""
        return failure(
            self.code,
            self.detail,
            self.retry_after,
            exchange_code=self.exchange_code,
            endpoint=self.endpoint,
        )


KeysReply = Keys | Refused
StoreReply = Stored | Refused
DestroyReply = Destroyed | Refused
AuthorizeReply = Authorized | Refused

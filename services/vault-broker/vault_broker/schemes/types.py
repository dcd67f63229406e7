"""The parts of a scheme: the signing key, the signed bytes, and the place of the signature. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from contracts.credentials import Fields, SignedRead
from contracts.exchanges.types import Request
from contracts.values import Secret
from vault_broker.paths import TRANSIT


@dataclass(frozen=True, slots=True)
class TransitKey:
    """A kind of key in the vault's transit engine, and its signing request.

    `type` is the type for the import. The request goes to `<engine>/<operation>/<key>/<digest>` with
    `parameters`.
    """

    type: str
    operation: str
    digest: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    def path(self, name: str, engine: str = TRANSIT) -> str:
        """Return the path at which a key of an engine signs; `+` stands for every key."""
        return f"{engine}/{self.operation}/{name}/{self.digest}"


HMAC_SHA256 = TransitKey("hmac", "hmac", "sha2-256")
HMAC_SHA512 = TransitKey("hmac", "hmac", "sha2-512")
# The format of JWTs: both numbers one after the other, in base64url.
ES256 = TransitKey("ecdsa-p256", "sign", "sha2-256", {"marshaling_algorithm": "jws"})
# Ed25519 signs the message itself: the digest in the path has no effect.
ED25519 = TransitKey("ed25519", "sign", "sha2-256")


class Draft(msgspec.Struct, frozen=True):
    """An unsigned read, for the exchange's time; `stamp` is its timestamp or nonce as text."""

    name: str
    request: Request
    exchange_time_ms: int
    stamp: str

    def signed(self, headers: Mapping[str, Secret], request: Request | None = None) -> SignedRead:
        """Return the signed read with its headers; `request` is the draft's with the scheme's additions."""
        sent = request or self.request
        body = Secret(sent.content) if sent.content else None
        return SignedRead(self.name, sent.method, sent.target, dict(headers), sent.host, body)


@dataclass(frozen=True, slots=True)
class Scheme:
    """The signature scheme of one exchange, for keys of one kind, or of all kinds with an empty `kind`.

    `stamp` formats milliseconds since the epoch as timestamp or nonce. `message` returns the bytes that `key`
    signs, and `write` the read with its signature, which is base64 (base64url for `ES256`). Both get the
    fields of the credential without the signing field.
    """

    key: TransitKey
    stamp: Callable[[int], str]
    message: Callable[[Draft, Fields], bytes]
    write: Callable[[Draft, Fields, str], SignedRead]
    kind: str = ""

"""What a scheme is: the key that signs, the bytes that are signed, and where the signature goes. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from contracts.credentials import Fields, SignedRead
from contracts.exchanges.types import Request
from contracts.values import Secret


@dataclass(frozen=True, slots=True)
class TransitKey:
    """A kind of key in the vault's transit engine, and how it signs.

    `type` is that of the import. A signature is asked for at `transit/<operation>/<key>/<digest>` with
    `parameters`.
    """

    type: str
    operation: str
    digest: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    def path(self, name: str) -> str:
        """Give the path at which a key signs; `+` is every key."""
        return f"transit/{self.operation}/{name}/{self.digest}"


HMAC_SHA256 = TransitKey("hmac", "hmac", "sha2-256")
HMAC_SHA512 = TransitKey("hmac", "hmac", "sha2-512")
# As JWTs want it: both numbers one after the other, in base64url.
ES256 = TransitKey("ecdsa-p256", "sign", "sha2-256", {"marshaling_algorithm": "jws"})
# It signs the message itself: the digest of the path says nothing here.
ED25519 = TransitKey("ed25519", "sign", "sha2-256")


class Draft(msgspec.Struct, frozen=True):
    """A read before it is signed, for the exchange's time; `stamp` is its timestamp or nonce as text."""

    name: str
    request: Request
    exchange_time_ms: int
    stamp: str

    def signed(self, headers: Mapping[str, Secret], request: Request | None = None) -> SignedRead:
        """Give the signed read with its headers; `request` is the one of the draft with what was added."""
        sent = request or self.request
        body = Secret(sent.content) if sent.content else None
        return SignedRead(self.name, sent.method, sent.target, dict(headers), sent.host, body)


@dataclass(frozen=True, slots=True)
class Scheme:
    """How one exchange wants a read to be signed.

    `stamp` writes milliseconds since the epoch as timestamp or nonce. `message` gives the bytes that `key`
    signs, and `write` the read with its signature, which is base64 (base64url of `ES256`). Both get the
    fields of the credential but for the one that signs.
    """

    key: TransitKey
    stamp: Callable[[int], str]
    message: Callable[[Draft, Fields], bytes]
    write: Callable[[Draft, Fields, str], SignedRead]

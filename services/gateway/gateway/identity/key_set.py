"""The public keys of access tokens: their ids (RFC 7638), and the set of them (RFC 7517, RFC 8037)."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Jwk(msgspec.Struct, frozen=True):
    """A public key of access tokens; `x` is the 32 raw bytes in base64url."""

    crv: str
    kid: str
    kty: str
    x: str
    alg: str = "EdDSA"
    use: str = "sig"


class JwkSet(msgspec.Struct, frozen=True):
    """The public keys with which access tokens are verified; the first belongs to the key that signs."""

    keys: tuple[Jwk, ...]


class _Thumbprint(msgspec.Struct, frozen=True):
    """The members that make the id of a key, in the order of RFC 7638."""

    crv: str
    kty: str
    x: str


def key_id(key: Ed25519PublicKey) -> str:
    """Return the id of a key: its thumbprint, which every gateway computes alike."""
    members = msgspec.json.encode(_Thumbprint("Ed25519", "OKP", _text(key.public_bytes_raw())))
    return _text(hashlib.sha256(members).digest())


def key_set(keys: Iterable[Ed25519PublicKey]) -> JwkSet:
    """Return the set of these keys."""
    return JwkSet(tuple(Jwk("Ed25519", key_id(key), "OKP", _text(key.public_bytes_raw())) for key in keys))


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()

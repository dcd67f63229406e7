"""Sealing bytes to a key pair with HPKE (RFC 9180), bound to the request they belong to."""

import hashlib
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


class SealBroken(Exception):
    """The sealed bytes were altered, or sealed to another key or for another request."""


class SealingKey:
    """A private X25519 key; its repr shows only the public id."""

    def __init__(self, private: X25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes_raw()
        self.key_id = hashlib.sha256(self.public).hexdigest()[:16]

    @classmethod
    def generate(cls) -> "SealingKey":
        """Make a new key pair."""
        return cls(X25519PrivateKey.generate())

    @classmethod
    def from_bytes(cls, raw: bytes) -> "SealingKey":
        """Read a private key of 32 raw bytes."""
        return cls(X25519PrivateKey.from_private_bytes(raw))

    def private_bytes(self) -> bytes:
        """Return the 32 raw bytes of the private key, to be stored in the vault."""
        return self._private.private_bytes_raw()

    def open(self, sealed: bytes, subject: str, credential_id: UUID, request_id: UUID) -> bytes:
        """Open sealed bytes; raises SealBroken."""
        try:
            return _SUITE.decrypt(sealed, self._private, info=_binding(subject, credential_id, request_id))
        except (InvalidTag, ValueError):
            raise SealBroken("the seal does not open") from None

    def __repr__(self) -> str:
        return f"SealingKey({self.key_id})"


def seal(plain: bytes, public_key: bytes, subject: str, credential_id: UUID, request_id: UUID) -> bytes:
    """Seal bytes to a raw X25519 public key; raises ValueError if the key is not valid."""
    key = X25519PublicKey.from_public_bytes(public_key)
    return _SUITE.encrypt(plain, key, info=_binding(subject, credential_id, request_id))


def _binding(subject: str, credential_id: UUID, request_id: UUID) -> bytes:
    return b"\0".join((b"butler/1", subject.encode(), str(credential_id).encode(), str(request_id).encode()))

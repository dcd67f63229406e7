"""Fingerprints of the two public keys with which a gateway sends a credential."""

import hashlib
import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

# The key in use and, during a rotation, its successor or predecessor.
MAX_PINNED = 2
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


class NotAWrappingKey(Exception):
    """The text is not an RSA public key."""


def load_wrapping_key(pem: str) -> RSAPublicKey:
    """Read Vault's wrapping key; raises NotAWrappingKey."""
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise NotAWrappingKey("the wrapping key can not be read") from None
    if not isinstance(key, RSAPublicKey):
        raise NotAWrappingKey("the wrapping key is not RSA")
    return key


def wrapping_key_fingerprint(pem: str) -> str:
    """Return the SHA-256 (hex) of the key's SubjectPublicKeyInfo in DER form; raises NotAWrappingKey."""
    der = load_wrapping_key(pem).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def born_key_fingerprint(public_key: bytes) -> str:
    """Return the SHA-256 of the 32 raw bytes of an Ed25519 key that was born in the vault, in hex."""
    return hashlib.sha256(public_key).hexdigest()


def sealing_key_fingerprint(public: bytes) -> str:
    """Return the SHA-256 (hex) of the 32 raw bytes of the brokers' public X25519 key."""
    return hashlib.sha256(public).hexdigest()


def read_fingerprints(text: str) -> frozenset[str]:
    """Read one fingerprint, or two with a comma; accepts colons and capitals as openssl writes them.

    Raises ValueError.
    """
    found = [part.strip().replace(":", "").lower() for part in text.split(",")]
    if len(found) > MAX_PINNED or not all(map(_SHA256.fullmatch, found)):
        raise ValueError("not a fingerprint, or two with a comma")
    return frozenset(found)

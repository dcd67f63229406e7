"""Grants: the gateway's signed permission to use one credential for one purpose until a deadline."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from contracts.bus.envelope import Malformed, decode, encode

VERIFY = "verify"
_CONTEXT = b"butler/grant/1\0"


class Grant(msgspec.Struct, frozen=True):
    """What is granted; `purpose` is `verify` or `sync <sync id>`, `exp` the deadline."""

    credential_id: UUID
    exchange: str
    purpose: str
    exp: datetime


class GrantRefused(Exception):
    """A grant that was altered, signed by another key, or is over."""


class GrantOver(GrantRefused):
    """A grant of the gateway whose time is over by the clock that was asked."""


def sync_purpose(sync_id: UUID) -> str:
    """Name the purpose of a grant for one sync."""
    return f"sync {sync_id}"


def sign_grant(grant: Grant, key: Ed25519PrivateKey) -> str:
    """Write a grant as text: payload and Ed25519 signature, base64url, with a dot between."""
    payload = encode(grant)
    return _written(payload, key.sign(_CONTEXT + payload))


def grant_mark(text: str | None) -> str:
    """Make of a grant what only those know who were given the grant: a part of an outcome's message id.

    The stream would swallow an outcome whose id a forged one had before it.
    """
    return hashlib.sha256((text or "").encode()).hexdigest()[:16]


def read_grant(text: str, key: Ed25519PublicKey, now: datetime) -> Grant:
    """Check a grant's signature and time and give it; raises GrantRefused, GrantOver where it is late."""
    grant = read_signed(text, key)
    if grant.exp.tzinfo is None or now >= grant.exp:
        raise GrantOver("the grant is over")
    return grant


def read_signed(text: str, key: Ed25519PublicKey) -> Grant:
    """Check a grant's signature and give it, whether its time is over or not; raises GrantRefused."""
    try:
        payload, signature = (urlsafe_b64decode(part) for part in text.split("."))
        # Decoding skips characters of its own choice: one grant has one text.
        if text != _written(payload, signature):
            raise GrantRefused("the grant is not written as the gateway writes it")
        key.verify(signature, _CONTEXT + payload)
        grant: Grant = decode(payload, Grant)
    except (ValueError, InvalidSignature, Malformed):
        raise GrantRefused("the grant is not signed by the gateway") from None
    return grant


def load_signing_key(pem: bytes) -> Ed25519PrivateKey:
    """Read an Ed25519 private key; raises ValueError for any other key."""
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("not an Ed25519 private key")
    return key


def load_verifying_key(pem: bytes) -> Ed25519PublicKey:
    """Read an Ed25519 public key; raises ValueError for any other key."""
    key = load_pem_public_key(pem)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("not an Ed25519 public key")
    return key


def _written(payload: bytes, signature: bytes) -> str:
    return f"{urlsafe_b64encode(payload).decode()}.{urlsafe_b64encode(signature).decode()}"

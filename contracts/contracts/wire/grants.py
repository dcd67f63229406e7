"""What the gateway signs with its grant key: grants to use a credential, requests to store or destroy one."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from contracts.credentials import Destroy, Store
from contracts.wire.envelope import Malformed, decode, encode

VERIFY = "verify"
_SYNC = "sync "
_CONTEXT = b"butler/grant/1\0"
# A signature of one kind is never one of another.
_STORE_CONTEXT = b"butler/store/1\0"
_DESTROY_CONTEXT = b"butler/destroy/1\0"


class Grant(msgspec.Struct, frozen=True):
    """What is granted; `purpose` is `verify` or `sync <sync id>`, `exp` the deadline."""

    credential_id: UUID
    exchange: str
    purpose: str
    exp: datetime


class _Storing(msgspec.Struct, frozen=True):
    """What the signature of a Store covers; a field that a later version adds must be added here, too."""

    request_id: UUID
    credential_id: UUID
    exchange: str
    sealing_key_id: str
    wrapped_secret_sha256: str
    sealed_parts_sha256: str
    deadline: datetime


class _Destroying(msgspec.Struct, frozen=True):
    """What the signature of a Destroy covers; a field that a later version adds must be added here, too."""

    request_id: UUID | None
    credential_id: UUID


class GrantRefused(Exception):
    """A grant that was altered, signed by another key, or is over."""


class GrantOver(GrantRefused):
    """A grant of the gateway whose time is over by the clock that was asked."""


def sync_purpose(sync_id: UUID) -> str:
    """Name the purpose of a grant for one sync."""
    return f"{_SYNC}{sync_id}"


def granted_sync(grant: Grant) -> UUID | None:
    """Tell for which sync a grant is; None for a grant of another purpose."""
    with suppress(ValueError):
        return UUID(grant.purpose.removeprefix(_SYNC)) if grant.purpose.startswith(_SYNC) else None
    return None


def sign_grant(grant: Grant, key: Ed25519PrivateKey) -> str:
    """Write a grant as text: payload and Ed25519 signature, base64url, with a dot between."""
    payload = encode(grant)
    return _written(payload, key.sign(_CONTEXT + payload))


def grant_mark(text: str | None) -> str:
    """Derive a part of an outcome's message id that only a holder of the grant can know.

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


def sign_store(request: Store, key: Ed25519PrivateKey) -> Store:
    """Give a request to store with the gateway's signature (Ed25519, base64url) over all that it says."""
    return msgspec.structs.replace(request, signature=_signature(_storing(request), key))


def check_store(request: Store, key: Ed25519PublicKey) -> None:
    """Check the signature of a request to store; raises GrantRefused for a wrong or missing one."""
    _check_signature(request.signature, _storing(request), key)


def sign_destroy(request: Destroy, key: Ed25519PrivateKey) -> Destroy:
    """Give a request to destroy with the gateway's signature (Ed25519, base64url) over all that it says."""
    return msgspec.structs.replace(request, signature=_signature(_destroying(request), key))


def check_destroy(request: Destroy, key: Ed25519PublicKey) -> None:
    """Check the signature of a request to destroy; raises GrantRefused for a wrong or missing one."""
    _check_signature(request.signature, _destroying(request), key)


def granted_credential(text: str) -> UUID:
    """Tell which credential a grant is of, without a look at signature and time; raises Malformed."""
    try:
        payload = urlsafe_b64decode(text.partition(".")[0])
    except ValueError:
        raise Malformed("the grant can not be read") from None
    grant: Grant = decode(payload, Grant)
    return grant.credential_id


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


def _signature(signed: bytes, key: Ed25519PrivateKey) -> str:
    return urlsafe_b64encode(key.sign(signed)).decode()


def _check_signature(signature: str | None, signed: bytes, key: Ed25519PublicKey) -> None:
    written = (signature or "").encode()
    try:
        raw = urlsafe_b64decode(written)
        if urlsafe_b64encode(raw) != written:
            raise GrantRefused("the signature is not written as the gateway writes it")
        key.verify(raw, signed)
    except (ValueError, InvalidSignature):
        raise GrantRefused("the request is not signed by the gateway") from None


def _storing(request: Store) -> bytes:
    """Give the bytes that are signed: nothing of the secret, and the same of equal requests."""
    return _STORE_CONTEXT + encode(
        _Storing(
            request.request_id,
            request.credential_id,
            request.exchange,
            request.sealing_key_id,
            hashlib.sha256(request.wrapped_secret).hexdigest(),
            hashlib.sha256(request.sealed_parts).hexdigest(),
            request.deadline.astimezone(UTC),
        )
    )


def _destroying(request: Destroy) -> bytes:
    """Give the bytes that are signed of a request to destroy."""
    return _DESTROY_CONTEXT + encode(_Destroying(request.request_id, request.credential_id))


def _written(payload: bytes, signature: bytes) -> str:
    return f"{urlsafe_b64encode(payload).decode()}.{urlsafe_b64encode(signature).decode()}"

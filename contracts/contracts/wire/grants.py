"""Signatures by the gateway's grant key: grants to use a credential, requests to make or destroy one."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.credentials import Destroy, KindName, OfferKey, Store
from contracts.wire.envelope import Malformed, decode, encode
from contracts.wire.key_files import Verifier

VERIFY = "verify"
_SYNC = "sync "
_CONTEXT = b"butler/grant/1\0"
# A signature of one kind is not valid for another kind.
_STORE_CONTEXT = b"butler/store/1\0"
_DESTROY_CONTEXT = b"butler/destroy/1\0"
_OFFER_CONTEXT = b"butler/offer/1\0"

Signable = TypeVar("Signable", Store, Destroy, OfferKey)
Signed = Store | Destroy | OfferKey


class Grant(msgspec.Struct, frozen=True):
    """A permission to sign reads; `purpose` is `verify` or `sync <sync id>`, `exp` the deadline."""

    credential_id: UUID
    exchange: str
    purpose: str
    exp: datetime


class _Storing(msgspec.Struct, frozen=True, omit_defaults=True):
    """The signed content of a Store; add each new field of Store here, too, with its default.

    Defaults are left out, so that a gateway and a broker of the release before sign and check the same bytes.
    """

    request_id: UUID
    credential_id: UUID
    exchange: str
    sealing_key_id: str
    wrapped_secret_sha256: str
    sealed_parts_sha256: str
    deadline: datetime
    kind: KindName = ""
    offer: UUID | None = None


class _Destroying(msgspec.Struct, frozen=True):
    """The signed content of a Destroy; add each new field of Destroy here, too."""

    request_id: UUID | None
    credential_id: UUID


class _Offering(msgspec.Struct, frozen=True):
    """The signed content of an OfferKey; add each new field of OfferKey here, too."""

    request_id: UUID
    offer_id: UUID
    exchange: str
    kind: KindName
    deadline: datetime


class GrantRefused(Exception):
    """The grant was altered, was signed by another key, or has expired."""


class GrantOver(GrantRefused):
    """The grant is the gateway's but has expired by the given clock."""


def sync_purpose(sync_id: UUID) -> str:
    """Return the purpose of a grant for one sync."""
    return f"{_SYNC}{sync_id}"


def granted_sync(grant: Grant) -> UUID | None:
    """Return the sync of a grant; None for a grant with another purpose."""
    with suppress(ValueError):
        return UUID(grant.purpose.removeprefix(_SYNC)) if grant.purpose.startswith(_SYNC) else None
    return None


def sign_grant(grant: Grant, key: Ed25519PrivateKey) -> str:
    """Return a grant as text: payload and Ed25519 signature in base64url, separated by a dot."""
    payload = encode(grant)
    return _written(payload, key.sign(_CONTEXT + payload))


def grant_mark(text: str | None) -> str:
    """Return a part of an outcome's message id that only a holder of the grant can know.

    Otherwise an attacker could publish a forged outcome first, and the stream would drop the real one as a
    duplicate.
    """
    return hashlib.sha256((text or "").encode()).hexdigest()[:16]


def read_grant(text: str, key: Verifier, now: datetime) -> Grant:
    """Return a grant after a check of its signature and time; raises GrantRefused, GrantOver if expired."""
    grant = read_signed(text, key)
    if grant.exp.tzinfo is None or now >= grant.exp:
        raise GrantOver("the grant is over")
    return grant


def read_signed(text: str, key: Verifier) -> Grant:
    """Return a grant after a check of its signature, even if it has expired; raises GrantRefused."""
    try:
        payload, signature = (urlsafe_b64decode(part) for part in text.split("."))
        # The decoder skips some characters, but each grant must have only one text.
        if text != _written(payload, signature):
            raise GrantRefused("the grant is not written as the gateway writes it")
        key.verify(signature, _CONTEXT + payload)
        grant: Grant = decode(payload, Grant)
    except (ValueError, InvalidSignature, Malformed):
        raise GrantRefused("the grant is not signed by the gateway") from None
    return grant


def sign_request(request: Signable, key: Ed25519PrivateKey) -> Signable:
    """Return a request with the gateway's signature (Ed25519, base64url) over all its fields."""
    signature = urlsafe_b64encode(key.sign(_content(request))).decode()
    return msgspec.structs.replace(request, signature=signature)


def check_request(request: Signed, key: Verifier) -> None:
    """Check the signature of a request; raises GrantRefused for a wrong or missing one."""
    written = (request.signature or "").encode()
    try:
        raw = urlsafe_b64decode(written)
        if urlsafe_b64encode(raw) != written:
            raise GrantRefused("the signature is not written as the gateway writes it")
        key.verify(raw, _content(request))
    except (ValueError, InvalidSignature):
        raise GrantRefused("the request is not signed by the gateway") from None


def granted_credential(text: str) -> UUID:
    """Return the credential of a grant without a check of signature and time; raises Malformed."""
    try:
        payload = urlsafe_b64decode(text.partition(".")[0])
    except ValueError:
        raise Malformed("the grant can not be read") from None
    grant: Grant = decode(payload, Grant)
    return grant.credential_id


def _content(request: Signed) -> bytes:
    """Return the signed bytes of a request: without the secret, and equal for equal requests."""
    if isinstance(request, Destroy):
        return _DESTROY_CONTEXT + encode(_Destroying(request.request_id, request.credential_id))
    deadline = request.deadline.astimezone(UTC)
    if isinstance(request, OfferKey):
        return _OFFER_CONTEXT + encode(
            _Offering(request.request_id, request.offer_id, request.exchange, request.kind, deadline)
        )
    return _STORE_CONTEXT + encode(
        _Storing(
            request.request_id,
            request.credential_id,
            request.exchange,
            request.sealing_key_id,
            hashlib.sha256(request.wrapped_secret).hexdigest(),
            hashlib.sha256(request.sealed_parts).hexdigest(),
            deadline,
            request.kind,
            request.offer,
        )
    )


def _written(payload: bytes, signature: bytes) -> str:
    return f"{urlsafe_b64encode(payload).decode()}.{urlsafe_b64encode(signature).decode()}"

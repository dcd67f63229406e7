"""Sealed bytes open for one key and one request only."""

from uuid import uuid4

import pytest

from contracts.wire.sealing import SealBroken, SealingKey, seal

SUBJECT = "butler.vault.gateway.store"


def test_sealed_bytes_open_for_their_key_and_request() -> None:
    """Opening returns the sealed bytes unchanged."""
    key, credential_id, request_id = SealingKey.generate(), uuid4(), uuid4()

    sealed = seal(b"canary", key.public, SUBJECT, credential_id, request_id)

    assert b"canary" not in sealed
    assert key.open(sealed, SUBJECT, credential_id, request_id) == b"canary"


def test_a_kept_key_opens_what_was_sealed_before() -> None:
    """A key that was written to a file and read again is the same key."""
    key, credential_id, request_id = SealingKey.generate(), uuid4(), uuid4()
    sealed = seal(b"canary", key.public, SUBJECT, credential_id, request_id)

    again = SealingKey.from_bytes(key.private_bytes())

    assert again.key_id == key.key_id
    assert again.open(sealed, SUBJECT, credential_id, request_id) == b"canary"


@pytest.mark.parametrize("changed", ["key", "subject", "credential", "request", "bytes", "empty"])
def test_sealed_bytes_open_for_nothing_else(changed: str) -> None:
    """Another key, subject, credential or request, and altered bytes, do not open."""
    key, credential_id, request_id = SealingKey.generate(), uuid4(), uuid4()
    sealed = seal(b"canary", key.public, SUBJECT, credential_id, request_id)
    altered = {"bytes": sealed[:-1] + bytes([sealed[-1] ^ 1]), "empty": b""}.get(changed, sealed)

    with pytest.raises(SealBroken):
        (SealingKey.generate() if changed == "key" else key).open(
            altered,
            "butler.vault.worker.authorize" if changed == "subject" else SUBJECT,
            uuid4() if changed == "credential" else credential_id,
            uuid4() if changed == "request" else request_id,
        )


def test_a_sealing_key_does_not_show() -> None:
    """The repr of a private key is its public id."""
    key = SealingKey.generate()

    assert repr(key) == f"SealingKey({key.key_id})"

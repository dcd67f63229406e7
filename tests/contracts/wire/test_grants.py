"""A grant, and a request to store, is valid only as the gateway signed it."""

from base64 import urlsafe_b64decode
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts.credentials import Destroy, OfferKey, Store
from contracts.wire.envelope import decode, encode
from contracts.wire.grants import (
    VERIFY,
    Grant,
    GrantRefused,
    check_request,
    granted_sync,
    read_grant,
    sign_grant,
    sign_request,
    sync_purpose,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEY = Ed25519PrivateKey.generate()
GRANT = Grant(uuid4(), "okx", VERIFY, NOW + timedelta(seconds=120))
TEXT = sign_grant(GRANT, KEY)
STORE = sign_request(
    Store(uuid4(), uuid4(), "okx", "0" * 16, b"wrapped", b"sealed", NOW + timedelta(seconds=8)), KEY
)
OFFER = sign_request(OfferKey(uuid4(), uuid4(), "binance", "born", NOW + timedelta(seconds=8)), KEY)
DESTROY = sign_request(Destroy(STORE.credential_id, STORE.request_id), KEY)


def test_a_grant_says_what_was_signed() -> None:
    """The broker reads exactly what the gateway granted."""
    assert read_grant(TEXT, KEY.public_key(), NOW) == GRANT


def test_a_grant_ends_at_its_deadline() -> None:
    """At the deadline it has expired, a moment before it has not."""
    assert read_grant(TEXT, KEY.public_key(), GRANT.exp - timedelta(microseconds=1)) == GRANT
    with pytest.raises(GrantRefused):
        read_grant(TEXT, KEY.public_key(), GRANT.exp)


def test_a_grant_of_another_key_is_refused() -> None:
    """Only the gateway's key signs grants."""
    with pytest.raises(GrantRefused):
        read_grant(sign_grant(GRANT, Ed25519PrivateKey.generate()), KEY.public_key(), NOW)


@given(st.integers(0, len(TEXT) - 1), st.characters(codec="ascii"))
def test_an_altered_grant_is_refused(place: int, letter: str) -> None:
    """No changed letter is accepted, not even one that decodes to the same."""
    assume(letter != TEXT[place])

    with pytest.raises(GrantRefused):
        read_grant(TEXT[:place] + letter + TEXT[place + 1 :], KEY.public_key(), NOW)


@given(st.text(max_size=60))
def test_garbage_is_refused(text: str) -> None:
    """Any garbage is refused with words, never with another error."""
    with pytest.raises(GrantRefused):
        read_grant(text, KEY.public_key(), NOW)


def test_a_signed_request_to_store_is_read_as_it_was_sent() -> None:
    """The signature holds after the message crossed the bus, in any time zone of its deadline."""
    check_request(decode(encode(STORE), Store), KEY.public_key())
    zone = timezone(timedelta(hours=2))
    check_request(msgspec.structs.replace(STORE, deadline=STORE.deadline.astimezone(zone)), KEY.public_key())


@pytest.mark.parametrize(
    "altered",
    [
        {"request_id": uuid4()},
        {"credential_id": uuid4()},
        {"exchange": "kraken"},
        {"sealing_key_id": "1" * 16},
        {"wrapped_secret": b"another"},
        {"sealed_parts": b"others"},
        {"deadline": NOW + timedelta(days=1)},
        {"kind": "hmac"},
        {"offer": uuid4()},
        {"signature": None},
        {"signature": ""},
        {"signature": "?"},
        {"signature": "\u00fc"},
        {"signature": f"{STORE.signature}\n"},
        {"signature": f"!{STORE.signature}"},
        {"signature": TEXT.split(".")[1]},
    ],
    ids=str.split(
        "request credential exchange sealing-key secret parts deadline kind offer "
        "none empty not-base64 not-ascii longer prefixed a-grant's"
    ),
)
def test_an_altered_request_to_store_is_refused(altered: dict[str, Any]) -> None:
    """No part of it can be changed, and no other signature of the gateway fits."""
    with pytest.raises(GrantRefused):
        check_request(msgspec.structs.replace(STORE, **altered), KEY.public_key())


def test_every_field_of_a_request_to_store_is_signed() -> None:
    """The signature covers every field, except those of this list."""
    signed = {"request_id", "credential_id", "exchange", "sealing_key_id", "deadline"}
    hashed = {"wrapped_secret", "sealed_parts"}

    assert set(Store.__struct_fields__) == signed | hashed | {"signature", "kind", "offer"}


def test_a_request_to_store_of_the_release_before_has_the_same_signature() -> None:
    """A kind and an offer are signed only where they are named, so old and new gateways and brokers agree."""
    before = b"butler/store/1\0" + msgspec.json.encode(
        {
            "request_id": STORE.request_id,
            "credential_id": STORE.credential_id,
            "exchange": "okx",
            "sealing_key_id": "0" * 16,
            "wrapped_secret_sha256": sha256(b"wrapped").hexdigest(),
            "sealed_parts_sha256": sha256(b"sealed").hexdigest(),
            "deadline": STORE.deadline,
        }
    )

    KEY.public_key().verify(urlsafe_b64decode(STORE.signature or ""), before)


def test_a_broker_of_the_release_before_stores_no_born_key() -> None:
    """It checks fewer fields, and the signature of a store with an offer does not fit these."""
    born = sign_request(msgspec.structs.replace(STORE, kind="born", offer=uuid4()), KEY)

    check_request(born, KEY.public_key())
    with pytest.raises(GrantRefused):
        check_request(msgspec.structs.replace(born, kind="", offer=None), KEY.public_key())


@pytest.mark.parametrize(
    "altered",
    [
        {"request_id": uuid4()},
        {"offer_id": uuid4()},
        {"exchange": "okx"},
        {"kind": "hmac"},
        {"deadline": NOW + timedelta(days=1)},
        {"signature": None},
        {"signature": STORE.signature},
        {"signature": DESTROY.signature},
    ],
    ids=str.split("request offer exchange kind deadline none a-store's a-destroy's"),
)
def test_an_altered_request_for_an_offer_is_refused(altered: dict[str, Any]) -> None:
    """No part of it can be changed, and no other signature of the gateway fits."""
    check_request(decode(encode(OFFER), OfferKey), KEY.public_key())
    assert set(OfferKey.__struct_fields__) == {
        "request_id",
        "offer_id",
        "exchange",
        "kind",
        "deadline",
        "signature",
    }
    with pytest.raises(GrantRefused):
        check_request(msgspec.structs.replace(OFFER, **altered), KEY.public_key())


@pytest.mark.parametrize("request_id", [uuid4(), None])
def test_a_signed_request_to_destroy_is_read_as_it_was_sent(request_id: UUID | None) -> None:
    """The signature holds after the message crossed the bus."""
    request = sign_request(Destroy(uuid4(), request_id), KEY)

    check_request(decode(encode(request), Destroy), KEY.public_key())


@pytest.mark.parametrize(
    "altered",
    [
        {"request_id": uuid4()},
        {"request_id": None},
        {"credential_id": uuid4()},
        {"signature": None},
        {"signature": ""},
        {"signature": f"{DESTROY.signature}\n"},
        {"signature": STORE.signature},
        {"signature": TEXT.split(".")[1]},
        {"signature": sign_request(DESTROY, Ed25519PrivateKey.generate()).signature},
    ],
    ids=str.split("request no-request credential none empty longer a-store's a-grant's another-key's"),
)
def test_an_altered_request_to_destroy_is_refused(altered: dict[str, Any]) -> None:
    """No part of it can be changed, and no other signature of the gateway fits."""
    with pytest.raises(GrantRefused):
        check_request(msgspec.structs.replace(DESTROY, **altered), KEY.public_key())


def test_a_signature_to_destroy_stores_nothing() -> None:
    """The signatures of Store and Destroy for the same ids never match each other."""
    with pytest.raises(GrantRefused):
        check_request(msgspec.structs.replace(STORE, signature=DESTROY.signature), KEY.public_key())


def test_every_field_of_a_request_to_destroy_is_signed() -> None:
    """The signature covers every field, except those of this list."""
    assert set(Destroy.__struct_fields__) == {"request_id", "credential_id", "signature"}


def test_a_grant_tells_its_sync() -> None:
    """Its purpose names the sync; other purposes, and invalid ids, name none."""
    sync_id = uuid4()
    for purpose, told in (
        (sync_purpose(sync_id), sync_id),
        (VERIFY, None),
        ("sync x", None),
        ("sync ", None),
    ):
        assert granted_sync(msgspec.structs.replace(GRANT, purpose=purpose)) == told

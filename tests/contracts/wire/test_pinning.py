"""A fingerprint is accepted as people write it, and only if it is valid."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contracts.wire.pinning import (
    NotAWrappingKey,
    read_fingerprints,
    sealing_key_fingerprint,
    wrapping_key_fingerprint,
)

ONE, TWO = hashlib.sha256(b"one").hexdigest(), hashlib.sha256(b"two").hexdigest()
KEY = rsa.generate_private_key(65537, 2048).public_key()


@pytest.mark.parametrize(
    ("text", "fingerprints"),
    [
        (ONE, {ONE}),
        (ONE.upper(), {ONE}),
        (f" {ONE} ", {ONE}),
        (":".join(ONE[place : place + 2] for place in range(0, 64, 2)).upper(), {ONE}),
        (f"{ONE},{TWO}", {ONE, TWO}),
        (f"{ONE}, {ONE}", {ONE}),
    ],
)
def test_one_or_two_fingerprints_are_read(text: str, fingerprints: set[str]) -> None:
    """Two are separated by a comma, for the time of a rotation."""
    assert read_fingerprints(text) == fingerprints


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        ONE[1:],
        ONE + "0",
        f"{ONE},",
        f"{ONE},{TWO},{ONE}",
        ONE[:-1] + "g",
        f"{ONE} {TWO}",
        "\u0661" * 64,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """Half a fingerprint, three of them or none pin no key, so no gateway starts with them."""
    with pytest.raises(ValueError, match="fingerprint"):
        read_fingerprints(text)


def test_a_wrapping_key_is_known_by_its_der_form() -> None:
    """The fingerprint is the output of `openssl pkey -pubin -outform DER | sha256sum`."""
    pem = KEY.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    der = KEY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    assert wrapping_key_fingerprint(pem) == hashlib.sha256(der).hexdigest()
    assert sealing_key_fingerprint(bytes(32)) == hashlib.sha256(bytes(32)).hexdigest()


@pytest.mark.parametrize("pem", ["", "no key", "another kind"])
def test_what_is_not_rsa_has_no_fingerprint(pem: str) -> None:
    """Another kind of key, or a text that is not a key, is never compared."""
    if pem == "another kind":
        other = ec.generate_private_key(ec.SECP256R1()).public_key()
        pem = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(NotAWrappingKey):
        wrapping_key_fingerprint(pem)

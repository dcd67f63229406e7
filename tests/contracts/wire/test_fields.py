"""One place checks each form of a field, and converts the signing one for the vault."""

from base64 import b64encode
from secrets import token_bytes

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from contracts.exchanges.keys import CredentialField, Curve, Form
from contracts.exchanges.okx import OKX
from contracts.faults import Code, Failure
from contracts.values import Secret
from contracts.wire.fields import key_bytes, wrong_fields

P256, P384, ED25519 = (
    ec.generate_private_key(ec.SECP256R1()),
    ec.generate_private_key(ec.SECP384R1()),
    Ed25519PrivateKey.generate(),
)
PLAIN = NoEncryption()
ON_P256 = CredentialField(
    "private_key", "Key", secret=True, form=Form.PEM, longest=2048, signs=True, curve=Curve.P256
)
ON_ED25519 = CredentialField(
    "private_key", "Key", secret=True, form=Form.PEM, longest=2048, signs=True, curve=Curve.ED25519
)
IN_BASE64 = CredentialField("api_secret", "Secret", secret=True, form=Form.BASE64, signs=True)
USER = CredentialField("user", "User", secret=False, shortest=4, longest=8)

Key = ec.EllipticCurvePrivateKey | Ed25519PrivateKey | rsa.RSAPrivateKey


def pem(
    key: Key, shape: PrivateFormat = PrivateFormat.PKCS8, locked: KeySerializationEncryption = PLAIN
) -> str:
    """Return a private key as PEM."""
    return key.private_bytes(Encoding.PEM, shape, locked).decode()


SEC1 = pem(P256, PrivateFormat.TraditionalOpenSSL)
LOCKED = BestAvailableEncryption(b"canary")


def words(field: CredentialField, text: str) -> str | None:
    """Return the reason why a value of a field cannot be used, None for a valid one."""
    return wrong_fields(OKX, [field], {field.key: Secret(text)}).get(field.key)


@pytest.mark.parametrize(
    "text",
    [
        SEC1,
        pem(P256),
        SEC1.replace("\n", "\\n"),
        SEC1.replace("\n", "\\r\\n"),
        SEC1.replace("\n", "\r\n"),
        SEC1.replace("\n", " "),
        SEC1.strip(),
    ],
    ids=["SEC 1", "PKCS 8", "escaped", "escaped twice", "of Windows", "in one line", "without line end"],
)
def test_a_pem_is_read_as_programs_hand_it_on(text: str) -> None:
    """Line ends that were escaped or became spaces do not matter: the vault gets the same key."""
    der = key_bytes(ON_P256, Secret(text))

    assert words(ON_P256, text) is None
    assert der == P256.private_bytes(Encoding.DER, PrivateFormat.PKCS8, PLAIN)


def test_an_ed25519_key_becomes_pkcs8() -> None:
    """The vault gets the private key that was pasted."""
    key = load_der_private_key(key_bytes(ON_ED25519, Secret(pem(ED25519))), None)

    assert isinstance(key, Ed25519PrivateKey)
    assert key.private_bytes_raw() == ED25519.private_bytes_raw()


@pytest.mark.parametrize(
    ("field", "text"),
    [
        (ON_P256, pem(P384)),
        (ON_P256, pem(ED25519)),
        (ON_ED25519, pem(P256)),
        (ON_P256, pem(rsa.generate_private_key(65537, 2048))),
        (ON_P256, pem(P256, locked=LOCKED)),
        (ON_P256, pem(P256, PrivateFormat.TraditionalOpenSSL, LOCKED)),
        (ON_P256, SEC1.replace("A", "", 1)),
        (ON_P256, SEC1 + SEC1),
        (ON_P256, SEC1.replace("PRIVATE", "PUBLIC")),
        (ON_P256, "canary"),
    ],
)
def test_another_key_is_refused_by_name(field: CredentialField, text: str) -> None:
    """A key on another curve, with a password, damaged, or missing: the words name the expected one."""
    refused = words(field, text)

    assert refused == f"The private_key is not the PEM of a private key on {field.curve} without a password."
    with pytest.raises(Failure) as caught:
        key_bytes(field, Secret(text))
    assert caught.value.code == Code.SECRET_UNUSABLE


def test_base64_is_decoded_for_the_vault() -> None:
    """The key is the bytes that the exchange's clients decode; its length counts these, not characters."""
    raw = token_bytes(64)

    assert key_bytes(IN_BASE64, Secret(b64encode(raw).decode())) == raw
    for text in (b64encode(raw[:31]).decode(), "s" * 31):
        with pytest.raises(Failure) as caught:
            key_bytes(IN_BASE64, Secret(text))
        assert caught.value.code == Code.SECRET_UNUSABLE


@pytest.mark.parametrize(
    ("field", "text", "reason"),
    [
        (OKX.typed[0].signing_field, "s" * 31, "The api_secret is shorter than 32 characters."),
        (OKX.typed[0].signing_field, "s" * 32, None),
        (IN_BASE64, b64encode(bytes(31)).decode(), "The api_secret is shorter than 32 bytes."),
        (IN_BASE64, b64encode(bytes(32)).decode(), None),
    ],
)
def test_a_signing_field_that_the_vault_refuses_is_refused_before(
    field: CredentialField, text: str, reason: str | None
) -> None:
    """The bound is that of the bytes that the vault gets, and of the characters that the exchange issues."""
    assert words(field, text) == reason


@pytest.mark.parametrize("text", ["canary-canary", "YWJj\nZGVm", "YWJ", "YWJj="])
def test_what_is_not_base64_is_refused(text: str) -> None:
    """Every character counts; none is skipped."""
    assert (words(IN_BASE64, text) or "").startswith("The api_secret ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("abc", "shorter than 4"),
        ("a" * 9, "longer than 8"),
        ("\u00fcber", "not ASCII"),
        ("a\nbc", "line break"),
        ("", "empty"),
        ("abcd", None),
        ("a" * 8, None),
    ],
)
def test_bounds_are_those_of_the_field(text: str, reason: str | None) -> None:
    """A text is between the shortest and the longest that the exchange issues."""
    refused = words(USER, text)

    assert (refused is None) if reason is None else (reason in (refused or ""))


def test_missing_fields_are_named_and_unknown_ones_are_not_repeated() -> None:
    """An unknown name may be a secret in the wrong place."""
    wrong = wrong_fields(OKX, OKX.typed[0].fields, {"api_key": Secret("k"), "canary": Secret("canary")})

    assert wrong == {
        "api_secret": "The api_secret is missing.",
        "passphrase": "The passphrase is missing.",
        "": "There is an unknown field: a key of OKX has api_key, api_secret, passphrase.",
    }

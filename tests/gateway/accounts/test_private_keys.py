"""Key material in a field is recognised and refused with the way to a born key; no ordinary value is."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from contracts.exchanges.binance import BINANCE
from contracts.exchanges.okx import OKX
from contracts.remedies import Situation
from contracts.values import Secret
from gateway.accounts.private_keys import Material, material_in, refused_material
from gateway.accounts.submission import born_kind, read_fields
from gateway.errors import InvalidInput

RSA = rsa.generate_private_key(65537, 2048)
OTHERS = (ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1()))
API_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"


def written(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> list[str]:
    """Return a private key as people paste it: PEM, PEM on one line, with escapes, and base64 alone."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    body = "".join(pem.splitlines()[1:-1])
    return [pem, pem.replace("\n", " "), pem.replace("\n", "\\n"), body]


def test_an_rsa_key_is_recognised_in_every_form() -> None:
    """Also as PKCS #1, and its public half."""
    assert {material_in(text) for text in written(RSA)} == {Material.RSA}
    old = RSA.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    public = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert material_in(old) is material_in(public) is Material.RSA


def test_another_private_key_is_recognised_in_every_form() -> None:
    """Ed25519 and P-256; a PEM that can not be read is a private key, too."""
    assert {material_in(text) for key in OTHERS for text in written(key)} == {Material.PRIVATE}
    assert material_in("-----BEGIN ENCRYPTED PRIVATE KEY-----") is Material.PRIVATE


@given(st.text(max_size=200))
def test_no_other_text_is_a_key(text: str) -> None:
    """Any text is judged without an error."""
    assert "PRIVATE KEY-----" in text or material_in(text) is None


def test_keys_and_secrets_of_exchanges_are_none() -> None:
    """The published ones of Binance pass."""
    assert material_in(API_KEY) is None
    assert material_in(SECRET) is None


@pytest.mark.parametrize(
    ("key", "reason"), [(RSA, "RSA key"), (OTHERS[0], "private key")], ids=["rsa", "ed25519"]
)
@pytest.mark.parametrize("field", ["api_key", "api_secret", "surprise"])
def test_a_private_key_is_refused_with_the_way_to_a_born_one(
    key: rsa.RSAPrivateKey, reason: str, field: str
) -> None:
    """In any field; the text repeats no value, and no name that we do not know."""
    given_ = {"api_key": Secret(API_KEY), "api_secret": Secret(SECRET), field: Secret(written(key)[0])}

    with pytest.raises(InvalidInput) as caught:
        read_fields(BINANCE, given_, Situation.CONNECT)

    assert reason in caught.value.detail
    assert "POST /api/v1/key-offers" in caught.value.detail
    assert "MII" not in caught.value.detail
    assert "surprise" not in str(caught.value.members)


def test_an_exchange_without_born_keys_judges_its_fields_itself() -> None:
    """A later exchange may take a private key by a field."""
    assert refused_material(OKX, {"api_secret": Secret(written(RSA)[0])}) == {}


def test_a_submission_without_an_offer_is_of_a_typed_kind() -> None:
    """An API key alone is told that a born key has an offer; with an offer no secret is taken."""
    both = {"api_key": Secret(API_KEY), "api_secret": Secret(SECRET)}
    assert read_fields(BINANCE, both, Situation.CONNECT).kind.key == "hmac"
    with pytest.raises(InvalidInput, match="invalid_input") as caught:
        read_fields(BINANCE, {"api_key": Secret(API_KEY)}, Situation.CONNECT)
    assert "api_secret is missing" in caught.value.detail
    assert "send the `offer`" in caught.value.detail
    born = born_kind(BINANCE)
    assert read_fields(BINANCE, {"api_key": Secret(API_KEY)}, Situation.CONNECT, born=born).kind is born
    with pytest.raises(InvalidInput):
        read_fields(BINANCE, both, Situation.CONNECT, born=born)

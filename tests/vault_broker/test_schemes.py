"""A real vault imports every kind of key that a scheme can name, and signs with it under its policy."""

import json
from base64 import b64decode, b64encode, urlsafe_b64decode
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as new_ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from uuid_utils.compat import uuid7

from contracts.exchanges import EXCHANGES
from contracts.exchanges.keys import CredentialField, Curve, Form
from contracts.exchanges.types import Read
from contracts.values import Secret
from contracts.wire.fields import key_bytes
from deploy.vault.policy import broker_policy
from tests.vault_broker.asking import wrap
from tests.vault_broker.vaults import OwnVault
from vault_broker.credentials import Credential, Credentials
from vault_broker.errors import Denied
from vault_broker.schemes import scheme_of
from vault_broker.schemes.types import ED25519, ES256, HMAC_SHA256, HMAC_SHA512, Draft, TransitKey
from vault_broker.vault_login import Login

VECTORS = Path(__file__).parents[3] / "shared/exchanges/data/test-vectors.json"
POLICY = "sys/policies/acl/vault-broker"
ALL_KEYS = (HMAC_SHA256, HMAC_SHA512, ES256, ED25519)
# RFC 8032, section 7.1, test 3.
SEED, MESSAGE, SIGNATURE = (
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    "af82",
    (
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    ),
)
# RFC 8032, section 7.1, test 1, with the signatures of Binance's own clients.
RFC_SEED = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
ED25519_VECTORS = {
    "timestamp=1499827319559&recvWindow=5000": (
        "OB11jWnvl0LKE9m8afFW3EdDhoA7H2T/377O3HJs36fsEvohaeygEypL1iD3KQDAYDtNrDWJCX/98t42FhYmDQ=="
    ),
    "recvWindow=10000&timestamp=1499827319559": (
        "gH2JXmcTkdwVSLdzs5avugDPyqJuJ+gAJiCmQ3rNXAveIPzL3wSWcmmtySE0/Fw5JhLtVXxGwcosYPUqfyRuAg=="
    ),
}
FITTING = {("hmac", None), ("ecdsa-p256", Curve.P256), ("ed25519", Curve.ED25519)}


@pytest_asyncio.fixture(name="credentials")
async def _credentials(own_vault: OwnVault, login: Login) -> AsyncIterator[Credentials]:
    """Yield the credentials of a broker whose exchanges use every kind of key."""
    await own_vault.root("PUT", POLICY, {"policy": broker_policy(ALL_KEYS)})
    yield Credentials(login)
    await own_vault.root("PUT", POLICY, {"policy": broker_policy()})


async def signed(credentials: Credentials, key: TransitKey, raw: bytes, *messages: bytes) -> list[str]:
    """Store a key, sign messages with it, and destroy it."""
    credential = uuid7()
    wrapped = wrap(raw, await credentials.wrapping_key())
    await credentials.store(credential, key, wrapped, Credential("okx", {"user": Secret("u")}))
    signatures = await credentials.sign(credential, key, messages)
    assert (await credentials.find(credential)).fields["user"].reveal() == "u"
    await credentials.destroy(credential)
    return signatures


def private(key: EllipticCurvePrivateKey | Ed25519PrivateKey, curve: Curve) -> bytes:
    """Return a private key in the form that the gateway would wrap."""
    field = CredentialField(
        "private_key", "Key", secret=True, form=Form.PEM, longest=2048, signs=True, curve=curve
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return key_bytes(field, Secret(pem))


async def test_a_secret_in_base64_signs_as_published(credentials: Credentials) -> None:
    """HMAC-SHA512 by the decoded secret over path and digest is the signature of the published vectors."""
    kraken = json.loads(VECTORS.read_text())["kraken"]
    vectors = [each for each in kraken["rest"] if "urlencoded" in each["content_type"]]
    field = CredentialField("api_secret", "Secret", secret=True, form=Form.BASE64, signs=True)
    messages = [
        each["path"].encode() + sha256((each["nonce"] + each["body"]).encode()).digest() for each in vectors
    ]

    raw = key_bytes(field, Secret(kraken["secret"]))
    signatures = await signed(credentials, HMAC_SHA512, raw, *messages)

    assert signatures == [each["api_sign"] for each in vectors]
    assert len(vectors) >= 4


async def test_a_p256_key_signs_as_tokens_want_it(credentials: Credentials) -> None:
    """The signature is the two numbers one after the other, in base64url without padding."""
    key = new_ec_key(SECP256R1())

    (signature,) = await signed(credentials, ES256, private(key, Curve.P256), b"header.claims")

    raw = urlsafe_b64decode(signature + "==")
    halves = [int.from_bytes(half) for half in (raw[:32], raw[32:])]
    key.public_key().verify(encode_dss_signature(*halves), b"header.claims", ECDSA(SHA256()))
    assert len(raw) == 64


async def test_an_ed25519_key_signs_the_message_itself(credentials: Credentials) -> None:
    """The signature is that of RFC 8032, not one over a digest."""
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SEED))

    (signature,) = await signed(credentials, ED25519, private(key, Curve.ED25519), bytes.fromhex(MESSAGE))

    assert b64decode(signature).hex() == SIGNATURE


async def test_binance_s_published_signatures(credentials: Credentials) -> None:
    """HMAC-SHA256 over the query, in hex, and Ed25519 by the key of RFC 8032 agree with the vectors."""
    vectors = json.loads(VECTORS.read_text())["binance"]
    cases = [*vectors["published"], *vectors["rest"]]
    typed, born = scheme_of("binance", "hmac"), scheme_of("binance", "born")

    hexes = await signed(
        credentials, typed.key, vectors["secret"].encode(), *(each["payload"].encode() for each in cases)
    )
    key = private(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(RFC_SEED)), Curve.ED25519)
    texts = await signed(credentials, born.key, key, *(payload.encode() for payload in ED25519_VECTORS))

    assert [b64decode(each).hex() for each in hexes] == [each["signature"] for each in cases]
    assert texts == [*ED25519_VECTORS.values()]
    assert (typed.key, born.key) == (HMAC_SHA256, ED25519)


@pytest.mark.parametrize("kind", ["hmac", "born"])
def test_a_read_of_binance_ends_with_its_signature(kind: str) -> None:
    """The signature covers exactly the query before it; the API key is a header, and no read has a body."""
    scheme, exchange = scheme_of("binance", kind), EXCHANGES["binance"]
    stamp = scheme.stamp(1499827319559)
    fields = {"api_key": Secret("k")}
    for name in ("account", "user_assets"):
        draft = Draft(name, exchange.request(Read(name)), 1499827319559, stamp)
        signed_bytes = scheme.message(draft, fields)
        read = scheme.write(draft, fields, b64encode(b"\xfb\xff" * 32).decode())

        query, _, signature = read.target.partition("?")[2].rpartition("&signature=")
        assert query.encode() == signed_bytes == b"recvWindow=5000&timestamp=1499827319559"
        assert read.headers["X-MBX-APIKEY"].reveal() == "k"
        expected = "fbff" * 32 if kind == "hmac" else b64encode(b"\xfb\xff" * 32).decode()
        assert unquote(signature) == expected
        assert "+" not in signature
        assert read.body is None


async def test_no_key_signs_in_another_way(credentials: Credentials, login: Login) -> None:
    """The policy allows only the parameters of each kind."""
    batch = [{"input": b64encode(b"message").decode()}]
    for body in (
        {"batch_input": batch, "marshaling_algorithm": "asn1"},
        {"batch_input": batch, "prehashed": True},
        {"input": "eA==", "marshaling_algorithm": "jws"},
    ):
        with pytest.raises(Denied):
            await login.request("POST", ES256.path(str(uuid7())), body)


async def test_a_house_without_such_exchanges_can_not_import_such_keys(login: Login) -> None:
    """The policy is made for the exchanges of the catalogue, and grants no more."""
    wrapped = wrap(private(new_ec_key(SECP256R1()), Curve.P256), await Credentials(login).wrapping_key())

    with pytest.raises(Denied):
        await Credentials(login).store(uuid7(), ES256, wrapped, Credential("okx", {}))


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_the_field_that_signs_fits_the_key_of_the_scheme(exchange: str) -> None:
    """A private key on a curve has the type that signs on that curve."""
    for kind in EXCHANGES[exchange].typed:
        assert kind.signing_field is not None
        assert (scheme_of(exchange, kind.key).key.type, kind.signing_field.curve) in FITTING

"""Access tokens while their key is rotated: each live key counts, a removed or unknown one does not."""

import hmac
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import httpx
import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contracts.wire.key_files import SigningKeys
from gateway.http.authentication import AUDIENCE, ISSUER, AccessTokens
from gateway.identity.key_set import key_id
from gateway.identity.login import login
from gateway.identity.passwords import Passwords
from gateway.identity.tokens import Renewed
from gateway.store.pool import Pool
from gateway.store.users import User
from tests.gateway.allowing import allowing
from tests.gateway.http.test_authentication import serving
from tests.gateway.identity.presenting import presented
from tests.system.forging import Forger

pytestmark = pytest.mark.filterwarnings(
    "ignore::litestar.exceptions.base_exceptions.LitestarDeprecationWarning",
    "ignore::DeprecationWarning:litestar",
)
OLD, NEW, THIRD = (Ed25519PrivateKey.generate() for _ in range(3))
ROLLED = {
    "before": SigningKeys(OLD),
    "learned": SigningKeys(OLD, (NEW,)),
    "signing": SigningKeys(NEW, (OLD,)),
    "after": SigningKeys(NEW),
}
# Section A.3 of RFC 8037.
RFC_KEY = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
RFC_THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
JWKS = "/.well-known/jwks.json"


@pytest_asyncio.fixture(name="session")
async def _session(pool: Pool, passwords: Passwords, user: User) -> Renewed:
    return await login(pool, passwords, allowing(), presented())


def issued(pool: Pool, keys: SigningKeys, session: Renewed) -> str:
    """Return a token of a gateway with these keys."""
    return AccessTokens(keys, pool).issue(session.user_id, session.family_id, session.now).reveal()


async def asked(pool: Pool, keys: SigningKeys, path: str, token: str = "") -> httpx.Response:
    """Send a request to a gateway with these keys."""
    app = serving(pool, AccessTokens(keys, pool))
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # its scope is a typed dict
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
        return await client.get(path)


async def opens(pool: Pool, keys: SigningKeys, token: str) -> bool:
    """Return whether a gateway with these keys accepts a token."""
    answer = await asked(pool, keys, "/api/v1/me", token)
    assert answer.status_code in (200, 401)
    return answer.is_success


async def test_gateways_of_two_neighbouring_steps_accept_each_others_tokens(
    pool: Pool, session: Renewed
) -> None:
    """So no session ends while gateways roll; a token of a removed key is refused."""
    steps = list(ROLLED.values())
    for one, other in pairwise(steps):
        assert await opens(pool, other, issued(pool, one, session))
        assert await opens(pool, one, issued(pool, other, session))
    assert not await opens(pool, ROLLED["after"], issued(pool, ROLLED["before"], session))
    assert not await opens(pool, ROLLED["before"], issued(pool, ROLLED["after"], session))


FORGERIES: dict[str, tuple[bool, Callable[[Forger], str]]] = {
    "no id, the key in use": (True, lambda forger: forger.written(NEW.sign, {})),
    "no id, the other key": (True, lambda forger: forger.written(OLD.sign, {})),
    "no id, a third key": (False, lambda forger: forger.written(THIRD.sign, {})),
    "its own id": (True, lambda forger: forger.written(OLD.sign, {"kid": key_id(OLD.public_key())})),
    "the id of the other": (
        False,
        lambda forger: forger.written(OLD.sign, {"kid": key_id(NEW.public_key())}),
    ),
    "a third key by its id": (
        False,
        lambda forger: forger.written(THIRD.sign, {"kid": key_id(THIRD.public_key())}),
    ),
    "an unknown id": (False, lambda forger: forger.written(NEW.sign, {"kid": "unknown"})),
    "an empty id": (False, lambda forger: forger.written(NEW.sign, {"kid": ""})),
    "a list for an id": (False, lambda forger: forger.written(NEW.sign, {"kid": [key_id(NEW.public_key())]})),
    "null for an id": (False, lambda forger: forger.written(NEW.sign, {"kid": None})),
    "the public key as a shared secret": (
        False,
        lambda forger: forger.mac(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ),
    "the public key as a shared secret, by its id": (
        False,
        lambda forger: forger.written(_mac, {"alg": "HS512", "kid": key_id(NEW.public_key())}),
    ),
    "another curve's algorithm": (
        False,
        lambda forger: forger.written(NEW.sign, {"alg": "ES256", "kid": key_id(NEW.public_key())}),
    ),
}


def _mac(text: bytes) -> bytes:
    return hmac.digest(NEW.public_key().public_bytes_raw(), text, "sha512")


async def test_a_token_counts_by_the_key_that_it_names(pool: Pool, session: Renewed) -> None:
    """Tokens of the release before name none, and any live key may have signed them."""
    forger = Forger(NEW, *[issued(pool, ROLLED["signing"], session)] * 3)
    for name, (good, forge) in FORGERIES.items():
        assert await opens(pool, ROLLED["signing"], forge(forger)) is good, name


async def test_a_foreign_library_verifies_tokens_by_the_key_set(pool: Pool, session: Renewed) -> None:
    """Anyone may read and cache the set; it holds public keys only, the one in use first."""
    answer = await asked(pool, ROLLED["signing"], JWKS)

    body: dict[str, list[dict[str, Any]]] = answer.json()
    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert [set(each) for each in body["keys"]] == [{"kty", "crv", "x", "kid", "use", "alg"}] * 2
    assert [each["kid"] for each in body["keys"]] == [key_id(key.public_key()) for key in (NEW, OLD)]
    known = jwt.PyJWKSet.from_dict(dict(body))
    for keys in (ROLLED["signing"], ROLLED["learned"]):
        token = issued(pool, keys, session)
        key = known[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(token, key, issuer=ISSUER, audience=AUDIENCE)
        assert claims["sub"] == str(session.user_id)


def test_the_id_of_a_key_is_its_thumbprint() -> None:
    """As in the example of RFC 8037, so that each gateway and every reader computes the same."""
    assert key_id(Ed25519PublicKey.from_public_bytes(RFC_KEY)) == RFC_THUMBPRINT

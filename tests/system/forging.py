"""Forge access tokens by hand, because libraries refuse to make most of these."""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HEADER = {"alg": "EdDSA", "typ": "JWT"}
DAY = timedelta(days=1)
OWN = Ed25519PrivateKey.generate()
RSA = rsa.generate_private_key(65537, 2048)
CURVE = ec.generate_private_key(ec.SECP256R1())

Sign = Callable[[bytes], bytes]


def encoded(raw: bytes) -> str:
    """Encode bytes as in a token."""
    return urlsafe_b64encode(raw).decode().rstrip("=")


def claims_of(token: str) -> dict[str, Any]:
    """Read the claims of a token."""
    payload = token.split(".")[1]
    return dict(json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def in_time(difference: timedelta) -> int:
    """Return a claim as a time."""
    return int((datetime.now(UTC) + difference).timestamp())


class Forger:
    """The user's own tokens, tokens of another user and of a signed-out one, and the gateway's key."""

    def __init__(self, key: Ed25519PrivateKey, good: str, others: str, revoked: str) -> None:
        self.key, self.good, self.revoked = key, good, revoked
        self.claims, self.others = claims_of(good), claims_of(others)
        self.head, self.body, self.signature = good.split(".")

    def signed(self, header: dict[str, Any] | None = None, **changed: Any) -> str:
        """Sign as the gateway does, with some claims changed; None omits one."""
        claims = {name: value for name, value in (self.claims | changed).items() if value is not None}
        return self.written(self.key.sign, header or {}, claims)

    def written(self, sign: Sign, header: dict[str, Any], claims: Any = None) -> str:
        """Assemble a token; omitted parts are those of a good token."""
        parts = HEADER | header, self.claims if claims is None else claims
        text = ".".join(encoded(json.dumps(part).encode()) for part in parts)
        return f"{text}.{encoded(sign(text.encode()))}"

    def mac(self, encoding: Encoding, form: PublicFormat) -> str:
        """Use the public key, which anybody may know, as a shared secret."""
        secret = self.key.public_key().public_bytes(encoding, form)
        return self.written(lambda text: hmac.digest(secret, text, "sha256"), {"alg": "HS256"})


def _jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "x": encoded(key.public_key().public_bytes_raw())}


def _other_end(signature: str) -> str:
    """Change the unused bits of the last letter."""
    return signature[:-1] + chr(ord(signature[-1]) + 1)


Forgery = Callable[[Forger], str]
BY_SIGNATURE: dict[str, Forgery] = {
    "alg none": lambda forger: forger.written(lambda _: b"", {"alg": "none"}),
    "alg None with the signature": lambda forger: forger.written(forger.key.sign, {"alg": "None"}),
    "no alg": lambda forger: forger.written(forger.key.sign, {"alg": None}),
    "HS256 with the public key, PEM": lambda forger: forger.mac(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    ),
    "HS256 with the public key, raw": lambda forger: forger.mac(Encoding.Raw, PublicFormat.Raw),
    "HS256 with nothing": lambda forger: forger.written(
        lambda text: hmac.digest(b"", text, "sha256"), {"alg": "HS256"}
    ),
    "RS256": lambda forger: forger.written(
        lambda text: RSA.sign(text, padding.PKCS1v15(), SHA256()), {"alg": "RS256"}
    ),
    "ES256": lambda forger: forger.written(
        lambda text: CURVE.sign(text, ec.ECDSA(SHA256())), {"alg": "ES256"}
    ),
    "another key": lambda forger: forger.written(OWN.sign, {}),
    "another key at a path": lambda forger: forger.written(OWN.sign, {"kid": "../../../../dev/null"}),
    "another key at an address": lambda forger: forger.written(OWN.sign, {"jku": "http://127.0.0.1/jwks"}),
    "another key in the header": lambda forger: forger.written(OWN.sign, {"jwk": _jwk(OWN)}),
    "another key by certificate": lambda forger: forger.written(OWN.sign, {"x5u": "http://127.0.0.1/x"}),
    "claims altered": lambda forger: (
        f"{forger.head}.{forger.signed(jti='x').split('.')[1]}.{forger.signature}"
    ),
    "header altered": lambda forger: f"{encoded(b'{}')}.{forger.body}.{forger.signature}",
    "signature cut": lambda forger: forger.good[:-2],
    "signature of zeros": lambda forger: f"{forger.head}.{forger.body}.{encoded(bytes(64))}",
    "signature left out": lambda forger: f"{forger.head}.{forger.body}.",
    "signature of another spelling": lambda forger: (
        f"{forger.head}.{forger.body}.{_other_end(forger.signature)}"
    ),
}
BY_CLAIM: dict[str, Forgery] = {
    "expired": lambda forger: forger.signed(exp=in_time(-timedelta(seconds=1))),
    "not yet valid": lambda forger: forger.signed(nbf=in_time(DAY)),
    "issued in the future": lambda forger: forger.signed(iat=in_time(DAY)),
    "endless": lambda forger: forger.signed(exp=None),
    "infinite": lambda forger: forger.signed(exp=float("inf")),
    "no number": lambda forger: forger.signed(exp=float("nan"), iat="yesterday"),
    "another audience": lambda forger: forger.signed(aud="another-api"),
    "a list of audiences": lambda forger: forger.signed(aud=[forger.claims["aud"], "another-api"]),
    "a list of one audience": lambda forger: forger.signed(aud=[forger.claims["aud"]]),
    "no audience": lambda forger: forger.signed(aud=None),
    "another issuer": lambda forger: forger.signed(iss="another-issuer"),
    "no issuer": lambda forger: forger.signed(iss=None),
    "nobody": lambda forger: forger.signed(sub=None),
    "an unknown user": lambda forger: forger.signed(sub=str(uuid4())),
    "a user by number": lambda forger: forger.signed(sub=1),
    "no id": lambda forger: forger.signed(jti=None),
    "an id that is a list": lambda forger: forger.signed(jti=[forger.claims["jti"]]),
    "no family": lambda forger: forger.signed(extras=None),
    "an unknown family": lambda forger: forger.signed(extras={"family": str(uuid4())}),
    "another's family": lambda forger: forger.signed(extras=forger.others["extras"]),
    "another user with the own family": lambda forger: forger.signed(sub=forger.others["sub"]),
    "a family that signed out": lambda forger: forger.revoked,
    "extras that are none": lambda forger: forger.signed(extras="x", more="y"),
    "a family that is none": lambda forger: forger.signed(extras={"family": ["x"]}),
    "a family in another place": lambda forger: forger.signed(extras=None, **forger.claims["extras"]),
    "no claims at all": lambda forger: forger.written(forger.key.sign, {}, []),
}
BY_FORM: dict[str, Forgery] = {
    "nothing": lambda _: "",
    "dots": lambda _: "..",
    "doubled dots": lambda forger: forger.good.replace(".", ".."),
    "a fourth part": lambda forger: forger.good + ".x",
    "white space inside": lambda forger: f"{forger.head}.{forger.body}. {forger.signature}",
    "white space before": lambda forger: f"  {forger.good}",
    "a foreign letter inside": lambda forger: f"{forger.head}.{forger.body}.!{forger.signature}",
    "padding": lambda forger: forger.good + "==",
    "another token behind it": lambda forger: f"{forger.good}, Bearer {forger.good}",
    "over-long": lambda forger: forger.good + "A" * 16_000,
    "over-long and signed": lambda forger: forger.signed(padding="A" * 16_000),
    "deep": lambda forger: f"{encoded(b'[' * 12_000)}.{forger.body}.{forger.signature}",
    "no text": lambda forger: f"{encoded(bytes([255, 254]))}.{forger.body}.{forger.signature}",
}

"""Access tokens (JWT, EdDSA), required by every route that is not marked public."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException
from litestar.middleware.authentication import AuthenticationResult
from litestar.openapi.spec import Components, SecurityScheme
from litestar.security.jwt import JWTAuth, Token
from litestar.security.jwt.middleware import JWTAuthenticationMiddleware
from uuid_utils.compat import uuid7

from contracts.values import Secret
from contracts.wire.key_files import SigningKeys, read_verifying_keys
from gateway.identity.key_set import key_id, key_set
from gateway.identity.sessions import find_signed_in
from gateway.identity.tokens import ACCESS_LIFE, SignedIn
from gateway.store.pool import Pool
from gateway.store.users import Times

ALGORITHM = "EdDSA"
ISSUER = "crypto-pocket-butler"
AUDIENCE = "crypto-pocket-butler-api"
FAMILY = "family"
AUTHORIZATION = re.compile(r"(?i:bearer) [\w-]{1,512}\.[\w-]{1,1024}\.[\w-]{86}", re.ASCII)

# The option of a route that needs no user; the OpenAPI document follows it.
PUBLIC = {"exclude_from_auth": True}

Connection = ASGIConnection[Any, Any, Any, Any]


class _Extras(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    family: UUID


class _Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The claims of an access token: all are required, others are refused."""

    sub: UUID
    jti: UUID
    iss: str
    aud: str
    iat: int
    exp: int
    extras: _Extras


class _AccessToken(Token):
    """A token with exactly the gateway's claims; its times are compared with the database's clock."""

    def __post_init__(self) -> None:
        """Round times down to whole seconds, as in the token; Litestar would compare them with our clock."""
        self.exp, self.iat = self.exp.replace(microsecond=0), self.iat.replace(microsecond=0)

    @classmethod
    def decode_payload(cls, *_: Any, **named: Any) -> Any:
        """Decode and verify; raises InvalidTokenError, also for claims that Litestar can not process."""
        named["options"] = {**named["options"], "verify_exp": False, "verify_iat": False}
        payload = cls._verified(_keys_of(named["encoded_token"], named.pop("secret")), named)
        try:
            msgspec.convert(payload, _Claims)
        except msgspec.ValidationError as error:
            raise jwt.InvalidTokenError(str(error)) from None
        return payload

    @classmethod
    def _verified(cls, keys: Iterable[Ed25519PublicKey], named: Mapping[str, Any]) -> Any:
        """Return the payload of a token that one of the keys signed; raises InvalidTokenError."""
        for key in keys:
            with suppress(jwt.InvalidSignatureError):
                return super().decode_payload(secret=key, **named)  # type: ignore[arg-type]  # a key, not its text
        raise jwt.InvalidTokenError("no key of this gateway signed the token")


class _Bearer(JWTAuthenticationMiddleware):
    """Accepts only the Bearer scheme and the form of an issued token; Litestar accepts any scheme."""

    async def authenticate_request(self, connection: Connection) -> AuthenticationResult:
        """Find the user of a request; raises NotAuthorizedException."""
        if not AUTHORIZATION.fullmatch(connection.headers.get("authorization", "")):
            raise NotAuthorizedException
        return await super().authenticate_request(connection)


class _Authentication(JWTAuth[SignedIn]):
    """Describes itself as OpenAPI allows; Litestar adds a header name, which an HTTP scheme can not have."""

    @property
    def openapi_components(self) -> Components:
        """Return the OpenAPI description of the access token."""
        bearer = SecurityScheme(
            type="http", scheme="bearer", bearer_format="JWT", description=self.description
        )
        return Components(security_schemes={self.openapi_security_scheme_name: bearer})


class AccessTokens:
    """Issues access tokens and checks them on every request that needs a user."""

    def __init__(self, keys: SigningKeys, pool: Pool) -> None:
        accepted = keys.accepted.keys
        self._pool = pool
        self._key, self._key_id = keys.current, key_id(accepted[0])
        self.key_set = key_set(accepted)
        self.auth = _Authentication(
            token_secret="".join(map(_pem, accepted)),
            retrieve_user_handler=self._signed_in,
            algorithm=ALGORITHM,
            accepted_audiences=[AUDIENCE],
            accepted_issuers=[ISSUER],
            token_cls=_AccessToken,
            authentication_middleware_class=_Bearer,
            strict_audience=True,
            description="The access token of POST /api/v1/auth/login.",
        )

    def issue(self, user_id: UUID, family_id: UUID, now: datetime) -> Secret:
        """Issue an access token for 15 minutes from `now`, a time of the database's clock."""
        token = _AccessToken(
            exp=now + ACCESS_LIFE,
            sub=str(user_id),
            iat=now,
            iss=ISSUER,
            aud=AUDIENCE,
            jti=str(uuid7()),
            extras={FAMILY: str(family_id)},
        )
        claims = {name: value for name, value in asdict(token).items() if value is not None}
        return Secret(jwt.encode(claims, self._key, ALGORITHM, headers={"kid": self._key_id}))

    async def _signed_in(self, token: Token, _connection: Connection) -> SignedIn | None:
        """Return the user of a token; None if the user is unknown or the token expired or was revoked."""
        times = Times(token.iat, token.exp)
        return await find_signed_in(self._pool, UUID(token.sub), UUID(token.extras[FAMILY]), times)


def _keys_of(token: str, pems: str) -> Iterable[Ed25519PublicKey]:
    """Return the keys that may have signed a token: the one that it names, or all if it names none.

    Tokens of the previous release name none. Raises InvalidTokenError for a key that is not known.
    """
    known = _known(pems)
    header = jwt.get_unverified_header(token)
    if "kid" not in header:
        return known.values()
    if header["kid"] not in known:
        raise jwt.InvalidTokenError("the token names a key that is not known")
    return (known[header["kid"]],)


@cache
def _known(pems: str) -> Mapping[str, Ed25519PublicKey]:
    return {key_id(key): key for key in read_verifying_keys(pems.encode()).keys}


def _pem(key: Ed25519PublicKey) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

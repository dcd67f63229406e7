"""Access tokens (JWT, EdDSA), required by every route that is not marked public."""

import re
from datetime import datetime
from typing import Any
from uuid import UUID

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException
from litestar.middleware.authentication import AuthenticationResult
from litestar.openapi.spec import Components, SecurityScheme
from litestar.security.jwt import JWTAuth, Token
from litestar.security.jwt.middleware import JWTAuthenticationMiddleware
from uuid_utils.compat import uuid7

from contracts.values import Secret
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
    def decode_payload(cls, *args: Any, **named: Any) -> Any:
        """Decode and verify; raises InvalidTokenError, also for claims that Litestar can not process."""
        named["options"] = {**named["options"], "verify_exp": False, "verify_iat": False}
        payload = super().decode_payload(*args, **named)
        try:
            msgspec.convert(payload, _Claims)
        except msgspec.ValidationError as error:
            raise jwt.InvalidTokenError(str(error)) from None
        return payload


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

    def __init__(self, key: Ed25519PrivateKey, pool: Pool) -> None:
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._pool = pool
        self._pem = pem.decode()
        self.auth = _Authentication(
            token_secret=self._pem,
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
        return Secret(token.encode(self._pem, ALGORITHM))

    async def _signed_in(self, token: Token, _connection: Connection) -> SignedIn | None:
        """Return the user of a token; None if the user is unknown or the token expired or was revoked."""
        times = Times(token.iat, token.exp)
        return await find_signed_in(self._pool, UUID(token.sub), UUID(token.extras[FAMILY]), times)

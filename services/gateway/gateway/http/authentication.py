"""Access tokens (JWT, EdDSA), which every route asks for that does not call itself public."""

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

# A route with this needs no user.
PUBLIC = {"exclude_from_auth": True}

Connection = ASGIConnection[Any, Any, Any, Any]


class _Extras(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    family: UUID


class _Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The claims of every access token, no more and no less."""

    sub: UUID
    jti: UUID
    iss: str
    aud: str
    iat: int
    exp: int
    extras: _Extras


class _AccessToken(Token):
    """A token whose claims are those that the gateway writes; the database judges its times."""

    def __post_init__(self) -> None:
        """Keep times in whole seconds, as a token writes them; Litestar would hold them against our clock."""
        self.exp, self.iat = self.exp.replace(microsecond=0), self.iat.replace(microsecond=0)

    @classmethod
    def decode_payload(cls, *args: Any, **named: Any) -> Any:
        """Decode and verify; raises InvalidTokenError, also where Litestar would stumble over a claim."""
        named["options"] = {**named["options"], "verify_exp": False, "verify_iat": False}
        payload = super().decode_payload(*args, **named)
        try:
            msgspec.convert(payload, _Claims)
        except msgspec.ValidationError as error:
            raise jwt.InvalidTokenError(str(error)) from None
        return payload


class _Bearer(JWTAuthenticationMiddleware):
    """Takes a token by its own scheme and in the form in which it was issued; Litestar takes any scheme."""

    async def authenticate_request(self, connection: Connection) -> AuthenticationResult:
        """Find the user of a request; raises NotAuthorizedException."""
        if not AUTHORIZATION.fullmatch(connection.headers.get("authorization", "")):
            raise NotAuthorizedException
        return await super().authenticate_request(connection)


class _Authentication(JWTAuth[SignedIn]):
    """Says of itself what OpenAPI allows: Litestar names the header, which is no part of an HTTP scheme."""

    @property
    def openapi_components(self) -> Components:
        """Describe the access token."""
        bearer = SecurityScheme(
            type="http", scheme="bearer", bearer_format="JWT", description=self.description
        )
        return Components(security_schemes={self.openapi_security_scheme_name: bearer})


class AccessTokens:
    """Makes access tokens and checks them on every request that needs a user."""

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
        """Make an access token of 15 minutes from now, by the database's clock."""
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
        """Find the user of a token; None when it names nobody, is over or was revoked with its family."""
        times = Times(token.iat, token.exp)
        return await find_signed_in(self._pool, UUID(token.sub), UUID(token.extras[FAMILY]), times)

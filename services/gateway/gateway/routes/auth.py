"""Routes to register, sign in, refresh tokens and sign out."""

from datetime import datetime
from uuid import UUID

import msgspec
from litestar import post
from litestar.di import NamedDependency

from contracts.values import Secret
from gateway.http.answers import documented
from gateway.http.authentication import PUBLIC, AccessTokens
from gateway.http.rate_limits import COUNTED
from gateway.http.situations import Doing
from gateway.identity import sessions
from gateway.identity.login import login as begin_session
from gateway.identity.passwords import Passwords
from gateway.identity.presented import Presented
from gateway.identity.refresh import Refreshing
from gateway.identity.register import register as add_user
from gateway.identity.tokens import ACCESS_LIFE, Renewed
from gateway.limits import Limits
from gateway.routes.parameters import AnyRequest, Database, SignedInRequest, client_address


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An email address and a password of 8 to 128 characters."""

    email: str
    password: Secret


class Refresh(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The refresh token of the last login or refresh."""

    refresh_token: Secret


class UserView(msgspec.Struct, frozen=True):
    """A user."""

    id: UUID
    email: str
    created_at: datetime


class TokenView(msgspec.Struct, frozen=True):
    """New tokens: the access token is valid for `expires_in` seconds, the refresh token for one use."""

    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int

    def __repr__(self) -> str:
        return "TokenView(***)"


@post(
    "/auth/register",
    responses=documented(409, 429),
    tags=["auth"],
    opt=PUBLIC | {"limit": "register"},
    situation=Doing.REGISTER,
)
async def register(
    data: Login, request: AnyRequest, pool: Database, passwords: NamedDependency[Passwords]
) -> UserView:
    """Register a user."""
    user = await add_user(pool, passwords, _presented(data, request))
    return UserView(user.id, user.email, user.created_at)


@post(
    "/auth/login",
    status_code=200,
    responses=documented(401, 429),
    tags=["auth"],
    opt=PUBLIC | COUNTED,
)
async def login(
    data: Login,
    request: AnyRequest,
    pool: Database,
    passwords: NamedDependency[Passwords],
    allowed: NamedDependency[Limits],
    tokens: NamedDependency[AccessTokens],
) -> TokenView:
    """Sign in; an unknown email address and a wrong password get the same response in the same time."""
    return _told(tokens, await begin_session(pool, passwords, allowed, _presented(data, request)))


@post(
    "/auth/refresh",
    status_code=200,
    responses=documented(401, 429),
    tags=["auth"],
    opt=PUBLIC | COUNTED,
    situation=Doing.REFRESH,
)
async def refresh(
    data: Refresh,
    request: AnyRequest,
    refreshing: NamedDependency[Refreshing],
    tokens: NamedDependency[AccessTokens],
) -> TokenView:
    """Exchange a refresh token for new tokens.

    Sending the latest used token again within 20 seconds returns the same new refresh token. A later repeat,
    or an older token, ends the login, because the token may have been stolen.
    """
    return _told(tokens, await refreshing.refresh(data.refresh_token, client_address(request)))


@post(
    "/auth/logout", status_code=204, responses=documented(401, 429), tags=["auth"], situation=Doing.SIGN_OUT
)
async def logout(request: SignedInRequest, pool: Database) -> None:
    """Sign out: the access tokens and refresh tokens of this login stop working at once."""
    await sessions.logout(pool, request.user, client_address(request))


def _presented(data: Login, request: AnyRequest) -> Presented:
    return Presented(data.email, data.password, client_address(request))


def _told(tokens: AccessTokens, renewed: Renewed) -> TokenView:
    return TokenView(
        access_token=tokens.issue(renewed.user_id, renewed.family_id, renewed.now).reveal(),
        refresh_token=renewed.refresh_token.reveal(),
        token_type="Bearer",  # noqa: S106 - the name of a scheme
        expires_in=int(ACCESS_LIFE.total_seconds()),
    )

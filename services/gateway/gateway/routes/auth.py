"""Registering, signing in and out, and who is signed in."""

import re
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, get, post
from uuid_utils.compat import uuid7

from contracts.values import Secret
from gateway.admitting import admit_login, admit_registration, count_failure
from gateway.context import Gateway
from gateway.errors import Problem, invalid_input, unauthorized
from gateway.passwords import TooBusy
from gateway.pasted import trimmed
from gateway.routes.problems import documented
from gateway.store import audit, logins, users
from gateway.store.audit import Action
from gateway.store.pool import database_time
from gateway.store.users import User
from gateway.tokens import ACCESS_LIFE, REFRESH_LIFE, SignedIn, new_refresh_token, refresh_hash

EMAIL = re.compile(r"[!-?A-~]{1,64}@[!-?A-~]{1,190}", re.ASCII)
PASSWORD_LENGTH = range(8, 129)
MAX_REFRESH_LENGTH = 128

SignedInRequest = Request[SignedIn, Any, Any]
AnyRequest = Request[Any, Any, Any]


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
    """The tokens for their owner: the access token lasts `expires_in` seconds, the refresh token one use."""

    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int

    def __repr__(self) -> str:
        return "TokenView(***)"


@post("/api/v1/auth/register", status_code=201, responses=documented(409, 429), tags=["auth"], security=[{}])
async def register(data: Login, request: AnyRequest, gateway: Gateway) -> UserView:
    """Register a user."""
    email = _checked_email(data.email)
    if len(data.password) not in PASSWORD_LENGTH:
        raise invalid_input("The password must have 8 to 128 characters.")
    async with gateway.pool.transaction() as connection:
        await admit_registration(connection, gateway.limits.register, client_address(request))
    password_hash = await gateway.passwords.hash(data.password)
    user_id = uuid7()
    async with gateway.pool.transaction() as connection:
        user = await users.insert_user(connection, user_id, email, password_hash)
        if user is None:
            raise Problem(
                HTTPStatus.CONFLICT,
                "email_taken",
                "This email address is registered already: sign in instead.",
            )
        await audit.record(
            connection, Action.USER_REGISTERED, user_id=user_id, address=client_address(request)
        )
    return UserView(user.id, user.email, user.created_at)


@post("/api/v1/auth/login", status_code=200, responses=documented(401, 429), tags=["auth"], security=[{}])
async def login(data: Login, request: AnyRequest, gateway: Gateway) -> TokenView:
    """Sign in; the answer to an unknown address is that to a wrong password, and takes as long."""
    email, address = _checked_email(data.email), client_address(request)
    async with gateway.pool.transaction() as connection:
        await admit_login(connection, gateway.limits.login, email, address)
        user = await users.find_by_email(connection, email)
    matches = await _matches(gateway, email, user, data.password)
    async with gateway.pool.transaction() as connection:
        if user is None or not matches:
            await count_failure(connection, gateway.limits.login, address)
            await audit.record(
                connection, Action.LOGIN_FAILED, user_id=user.id if user else None, address=address
            )
        else:
            await logins.forget(connection, email)
            family_id = uuid7()
            refresh_token = new_refresh_token()
            await users.insert_family(connection, family_id, user.id, REFRESH_LIFE)
            await users.insert_refresh_token(connection, refresh_hash(refresh_token), family_id)
            await audit.record(connection, Action.LOGIN_SUCCEEDED, user_id=user.id, address=address)
            now = await database_time(connection)
            return _tokens(gateway, user.id, family_id, refresh_token, now)
    raise unauthorized("The email address or the password is wrong.")


@post("/api/v1/auth/refresh", status_code=200, responses=documented(401), tags=["auth"], security=[{}])
async def refresh(data: Refresh, request: AnyRequest, gateway: Gateway) -> TokenView:
    """Exchange a refresh token for new tokens; using an old one again signs out everyone who has them."""
    if len(data.refresh_token) > MAX_REFRESH_LENGTH:
        raise unauthorized("The refresh token is not valid: sign in again.")
    async with gateway.pool.transaction() as connection:
        token = await users.take_refresh_token(connection, refresh_hash(data.refresh_token))
        if token is not None and token.used and not token.family_over:
            await users.revoke_family(connection, token.family_id)
            await audit.record(
                connection, Action.REFRESH_REUSED, user_id=token.user_id, address=client_address(request)
            )
        elif token is not None and not token.family_over:
            successor = new_refresh_token()
            await users.insert_refresh_token(connection, refresh_hash(successor), token.family_id)
            now = await database_time(connection)
            return _tokens(gateway, token.user_id, token.family_id, successor, now)
    raise unauthorized("The refresh token is not valid: sign in again.")


@post("/api/v1/auth/logout", status_code=204, responses=documented(401), tags=["auth"])
async def logout(request: SignedInRequest, gateway: Gateway) -> None:
    """Sign out: the access token and the refresh tokens of this login end at once."""
    async with gateway.pool.transaction() as connection:
        await users.revoke_family(connection, request.user.family_id)
        await audit.record(
            connection, Action.LOGGED_OUT, user_id=request.user.id, address=client_address(request)
        )


@get("/api/v1/me", responses=documented(401), tags=["auth"])
async def me(request: SignedInRequest) -> UserView:
    """Show who is signed in."""
    return UserView(request.user.id, request.user.email, request.user.created_at)


def client_address(request: AnyRequest) -> str | None:
    """Give the address that a request came from."""
    return request.client.host if request.client else None


def _checked_email(text: str) -> str:
    email = trimmed(text).lower()
    if not EMAIL.fullmatch(email):
        raise invalid_input("The email address is not valid.")
    return email


async def _matches(gateway: Gateway, email: str, user: User | None, password: Secret) -> bool:
    """Check a password; when that is not done the login does not count as a failure. Raises TooBusy."""
    try:
        return await gateway.passwords.matches(user.password_hash if user else None, password)
    except TooBusy:
        async with gateway.pool.transaction() as connection:
            await logins.forgive(connection, email)
        raise


def _tokens(
    gateway: Gateway, user_id: UUID, family_id: UUID, refresh_token: Secret, now: datetime
) -> TokenView:
    return TokenView(
        access_token=gateway.tokens.issue(user_id, family_id, now).reveal(),
        refresh_token=refresh_token.reveal(),
        token_type="Bearer",  # noqa: S106 - the name of a scheme
        expires_in=int(ACCESS_LIFE.total_seconds()),
    )

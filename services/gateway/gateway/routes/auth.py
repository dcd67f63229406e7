"""Registering, signing in and out, and who is signed in."""

import re
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, post
from uuid_utils.compat import uuid7

from contracts.values import Secret
from gateway.accounts.pasted import trimmed
from gateway.context import Gateway
from gateway.http.answers import documented
from gateway.http.problems import Problem, invalid_input, unauthorized, weak_password
from gateway.http.rate_limits import COUNTED
from gateway.http.situations import Doing
from gateway.identity.common_passwords import is_common, is_email
from gateway.identity.throttle import Attempt, admit_login, count_failure, count_success, forgive
from gateway.identity.tokens import ACCESS_LIFE, REFRESH_LIFE, SignedIn, new_refresh_token, refresh_hash
from gateway.limits import client_network, login_throttled
from gateway.places import TooBusy
from gateway.store import audit, sessions, users
from gateway.store.audit import Action
from gateway.store.pool import database_time

EMAIL = re.compile(r"[!-?A-~]{1,64}@[!-?A-~]{1,190}", re.ASCII)
PASSWORD_LENGTH = range(8, 129)

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


@post(
    "/api/v1/auth/register",
    status_code=201,
    responses=documented(409, 429),
    tags=["auth"],
    security=[{}],
    opt={"limit": "register"},
    situation=Doing.REGISTER,
)
async def register(data: Login, request: AnyRequest, gateway: Gateway) -> UserView:
    """Register a user."""
    email = _checked_email(data.email)
    check_new_password(data.password, email)
    password_hash = await gateway.passwords.hash(data.password, client_network(client_address(request)))
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


@post(
    "/api/v1/auth/login",
    status_code=200,
    responses=documented(401, 429),
    tags=["auth"],
    security=[{}],
    opt=COUNTED,
)
async def login(data: Login, request: AnyRequest, gateway: Gateway) -> TokenView:
    """Sign in; the answer to an unknown address is that to a wrong password, and takes as long."""
    email, address = _checked_email(data.email), client_address(request)
    async with gateway.pool.transaction() as connection:
        attempt = await admit_login(connection, gateway.limits, email, address)
    user, matches = attempt.user, await _matches(gateway, attempt, data.password)
    async with gateway.pool.transaction() as connection:
        if user is None or not matches or not await users.hold_password(connection, user):
            await count_failure(connection, gateway.limits.login, attempt)
            await audit.record(
                connection, Action.LOGIN_FAILED, user_id=user.id if user else None, address=address
            )
        else:
            await count_success(connection, gateway.limits, attempt, user)
            family_id = uuid7()
            refresh_token = new_refresh_token()
            await users.insert_family(connection, family_id, user.id, REFRESH_LIFE)
            await users.insert_refresh_token(connection, refresh_hash(refresh_token), family_id)
            await sessions.insert_network(connection, family_id, client_network(address))
            await audit.record(
                connection, Action.LOGIN_SUCCEEDED, user_id=user.id, subject=family_id, address=address
            )
            now = await database_time(connection)
            return _tokens(gateway, user.id, family_id, refresh_token, now)
    if attempt.refusal:
        raise login_throttled(attempt.refusal)
    raise unauthorized("The email address or the password is wrong.")


@post(
    "/api/v1/auth/refresh",
    status_code=200,
    responses=documented(401, 429),
    tags=["auth"],
    security=[{}],
    opt=COUNTED,
    situation=Doing.REFRESH,
)
async def refresh(data: Refresh, request: AnyRequest, gateway: Gateway) -> TokenView:
    """Exchange a refresh token for new tokens.

    For 20 seconds a repeat of the last one gets the same successor. A later repeat, or an older token, ends
    the login, because somebody else may have it.
    """
    renewed = await gateway.refreshing.refresh(data.refresh_token, client_address(request))
    return _tokens(gateway, renewed.user_id, renewed.family_id, renewed.refresh_token, renewed.now)


@post(
    "/api/v1/auth/logout",
    status_code=204,
    responses=documented(401, 429),
    tags=["auth"],
    situation=Doing.SIGN_OUT,
)
async def logout(request: SignedInRequest, gateway: Gateway) -> None:
    """Sign out: the access token and the refresh tokens of this login end at once."""
    async with gateway.pool.transaction() as connection:
        await users.revoke_family(connection, request.user.family_id)
        await audit.record(
            connection, Action.LOGGED_OUT, user_id=request.user.id, address=client_address(request)
        )


def client_address(request: AnyRequest) -> str | None:
    """Give the address that a request came from."""
    return request.client.host if request.client else None


def check_new_password(password: Secret, email: str) -> None:
    """Refuse a password that is too short or too long, common, or the user's own address; raises Problem."""
    if len(password) not in PASSWORD_LENGTH:
        raise invalid_input("The password must have 8 to 128 characters.")
    if is_email(password.reveal(), email):
        raise weak_password("The password is your email address: choose another.")
    if is_common(password.reveal()):
        raise weak_password(
            "This password is one of the commonest, or is made of what is tried first: choose a rarer one, "
            "such as three words or more."
        )


def _checked_email(text: str) -> str:
    email = trimmed(text).lower()
    if not EMAIL.fullmatch(email):
        raise invalid_input("The email address is not valid.")
    return email


async def _matches(gateway: Gateway, attempt: Attempt, password: Secret) -> bool:
    """Check a password; when that is not done the login does not count as a failure. Raises TooBusy."""
    password_hash = attempt.user.password_hash if attempt.user else None
    try:
        return await gateway.passwords.matches(password_hash, password, attempt.client, known=attempt.known)
    except TooBusy:
        async with gateway.pool.transaction() as connection:
            await forgive(connection, attempt)
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

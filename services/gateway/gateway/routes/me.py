"""The user's own account: who is signed in, the password, the sessions, and the end of it all."""

from datetime import datetime
from uuid import UUID

import msgspec
from litestar import delete, get, post, put

from contracts.values import Secret
from gateway.context import Gateway
from gateway.http.answers import documented
from gateway.http.problems import invalid_input, not_found, wrong_password
from gateway.http.situations import Doing
from gateway.limits import client_network
from gateway.routes.auth import SignedInRequest, UserView, check_new_password, client_address
from gateway.store import audit, networks, sessions, users
from gateway.store.audit import Action
from gateway.store.sessions import Session

MAX_LISTED = 100
TAG = ["me"]
PROVING = documented(401, 403, 429)
# Both ask for the password, and together no more often than it may be changed.
BY_PASSWORD = {"limit": "password"}


class ChangePassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The password and the one that takes its place, of 8 to 128 characters."""

    old_password: Secret
    new_password: Secret


class DeleteMe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The password, so that a token alone deletes nothing."""

    password: Secret


class SessionView(msgspec.Struct, frozen=True):
    """A login that lasts; `last_used_at` is when its tokens were last renewed, `network` where it began.

    The network is an IPv4 address or the /64 network of an IPv6 one; null for a login of an earlier version.
    """

    id: UUID
    current: bool
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    network: str | None


@get("/api/v1/me", responses=documented(401), tags=TAG)
async def show_me(request: SignedInRequest) -> UserView:
    """Show who is signed in."""
    return UserView(request.user.id, request.user.email, request.user.created_at)


@put(
    "/api/v1/me/password",
    status_code=204,
    responses=PROVING,
    tags=TAG,
    opt=BY_PASSWORD,
    situation=Doing.CHANGE_PASSWORD,
)
async def change_password(data: ChangePassword, request: SignedInRequest, gateway: Gateway) -> None:
    """Change the password; every other session ends at once, this one goes on."""
    user, address = request.user, client_address(request)
    check_new_password(data.new_password, user.email)
    if data.new_password.reveal() == data.old_password.reveal():
        raise invalid_input("The new password is the old one: choose another.")
    await gateway.proving.prove(user, data.old_password, address)
    password_hash = await gateway.passwords.hash(data.new_password, str(user.id), known=True)
    async with gateway.pool.transaction() as connection:
        if not await users.replace_password(connection, user, password_hash):
            raise wrong_password()
        ended = await sessions.end_others(connection, user.id, user.family_id)
        await networks.forget_others(connection, user.id, client_network(address))
        await audit.record(
            connection,
            Action.PASSWORD_CHANGED,
            user_id=user.id,
            subject=user.id,
            address=address,
            sessions_ended=ended,
        )


@get("/api/v1/me/sessions", responses=documented(401), tags=TAG)
async def list_sessions(request: SignedInRequest, gateway: Gateway) -> tuple[SessionView, ...]:
    """List the sessions that last: this one first, then those used last; 100 at most."""
    user = request.user
    async with gateway.pool.transaction() as connection:
        listed = await sessions.list_sessions(connection, user.id, user.family_id, MAX_LISTED)
    return tuple(_view(session, user.family_id) for session in listed)


@delete(
    "/api/v1/me/sessions/{session_id:uuid}",
    status_code=204,
    responses=documented(401, 404, 429),
    tags=TAG,
    situation=Doing.END_SESSION,
)
async def end_session(session_id: UUID, request: SignedInRequest, gateway: Gateway) -> None:
    """End a session: none of its tokens opens anything from now on."""
    user = request.user
    async with gateway.pool.transaction() as connection:
        if not await sessions.end(connection, user.id, session_id):
            raise not_found()
        await audit.record(
            connection,
            Action.SESSION_ENDED,
            user_id=user.id,
            subject=session_id,
            address=client_address(request),
        )


@delete(
    "/api/v1/me/sessions",
    status_code=204,
    responses=documented(401, 429),
    tags=TAG,
    situation=Doing.END_SESSION,
)
async def end_other_sessions(request: SignedInRequest, gateway: Gateway) -> None:
    """End every session but this one."""
    user = request.user
    async with gateway.pool.transaction() as connection:
        ended = await sessions.end_others(connection, user.id, user.family_id)
        await audit.record(
            connection,
            Action.OTHER_SESSIONS_ENDED,
            user_id=user.id,
            subject=user.family_id,
            address=client_address(request),
            sessions_ended=ended,
        )


@post(
    "/api/v1/me/deletion",
    status_code=204,
    responses=PROVING,
    tags=TAG,
    opt=BY_PASSWORD,
    situation=Doing.DELETE_USER,
)
async def delete_me(data: DeleteMe, request: SignedInRequest, gateway: Gateway) -> None:
    """Delete the user: sessions end, accounts are disconnected, and their secrets are destroyed.

    This can not be undone. The email address may be registered anew.
    """
    address = client_address(request)
    await gateway.proving.prove(request.user, data.password, address)
    await gateway.deleting.delete_user(request.user, address)


def _view(session: Session, current_id: UUID) -> SessionView:
    return SessionView(
        id=session.id,
        current=session.id == current_id,
        created_at=session.created_at,
        last_used_at=session.last_used_at,
        expires_at=session.expires_at,
        network=session.network,
    )

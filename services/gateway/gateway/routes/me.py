"""The signed-in user: password, sessions and deletion."""

from datetime import datetime
from uuid import UUID

import msgspec
from litestar import delete, get, patch, post, put
from litestar.di import NamedDependency

from contracts.values import Secret
from gateway.accounts.closing import find_clock, set_zone
from gateway.accounts.delete import Deleting
from gateway.http.answers import documented
from gateway.http.situations import Doing
from gateway.identity import sessions
from gateway.identity.change_password import Change
from gateway.identity.change_password import change_password as replace_password
from gateway.identity.passwords import Passwords
from gateway.identity.proof import Proving
from gateway.routes.auth import UserView
from gateway.routes.parameters import Database, SignedInRequest, client_address
from gateway.rows.closes import Clock
from gateway.store.sessions import Session

TAG = ["me"]
PROVING = documented(401, 403, 429)
# Changing the password and deleting the user both check the password, so they share one limit.
BY_PASSWORD = {"limit": "password"}


class MeView(UserView, frozen=True):
    """The signed-in user; days of the portfolio end at midnight of `time_zone`.

    A zone that was just set counts from `time_zone_from` on, when the day of the earlier one ends.
    """

    time_zone: str
    time_zone_from: datetime | None


class ChangeMe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The name of a time zone in the IANA database, such as Europe/Berlin."""

    time_zone: str


class ChangePassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The current password and the new one, of 8 to 128 characters."""

    old_password: Secret
    new_password: Secret


class DeleteMe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The password, because an access token alone must not be enough to delete the user."""

    password: Secret


class SessionView(msgspec.Struct, frozen=True):
    """An active login; `last_used_at` is when its tokens were last renewed, `network` where it began.

    `network` is an IPv4 address or the /64 network of an IPv6 address. It is null for logins that an earlier
    version of the service began.
    """

    id: UUID
    current: bool
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    network: str | None


@get("/me", responses=documented(401), tags=TAG)
async def show_me(request: SignedInRequest, pool: Database) -> MeView:
    """Show the signed-in user."""
    return _me(request, await find_clock(pool, request.user.id))


@patch("/me", responses=documented(400, 401, 429), tags=TAG, situation=Doing.CHANGE_ZONE)
async def change_me(data: ChangeMe, request: SignedInRequest, pool: Database) -> MeView:
    """Set the time zone in which days end; it counts from the next midnight on."""
    return _me(request, await set_zone(pool, request.user.id, data.time_zone))


def _me(request: SignedInRequest, clock: Clock) -> MeView:
    since = None if clock.next_zone is None else clock.next_close_at
    return MeView(
        request.user.id,
        request.user.email,
        request.user.created_at,
        clock.next_zone or clock.zone,
        since,
    )


@put(
    "/me/password",
    status_code=204,
    responses=PROVING,
    tags=TAG,
    opt=BY_PASSWORD,
    situation=Doing.CHANGE_PASSWORD,
)
async def change_password(
    data: ChangePassword,
    request: SignedInRequest,
    pool: Database,
    passwords: NamedDependency[Passwords],
    proving: NamedDependency[Proving],
) -> None:
    """Change the password; all other sessions end at once, this one stays signed in."""
    change = Change(data.old_password, data.new_password, client_address(request))
    await replace_password(pool, passwords, proving, request.user, change)


@get("/me/sessions", responses=documented(401), tags=TAG)
async def list_sessions(request: SignedInRequest, pool: Database) -> tuple[SessionView, ...]:
    """List the active sessions, at most 100: this one first, then the most recently used."""
    listed = await sessions.list_sessions(pool, request.user)
    return tuple(_view(session, request.user.family_id) for session in listed)


@delete(
    "/me/sessions/{session_id:uuid}",
    responses=documented(401, 404, 429),
    tags=TAG,
    situation=Doing.END_SESSION,
)
async def end_session(session_id: UUID, request: SignedInRequest, pool: Database) -> None:
    """End a session; its tokens stop working at once."""
    await sessions.end(pool, request.user, session_id, client_address(request))


@delete("/me/sessions", responses=documented(401, 429), tags=TAG, situation=Doing.END_SESSION)
async def end_other_sessions(request: SignedInRequest, pool: Database) -> None:
    """End all sessions except this one."""
    await sessions.end_others(pool, request.user, client_address(request))


@post(
    "/me/deletion", status_code=204, responses=PROVING, tags=TAG, opt=BY_PASSWORD, situation=Doing.DELETE_USER
)
async def delete_me(
    data: DeleteMe,
    request: SignedInRequest,
    proving: NamedDependency[Proving],
    deleting: NamedDependency[Deleting],
) -> None:
    """Delete the user: sessions end, accounts are disconnected, and their secrets are destroyed.

    This can not be undone. The email address may be registered again.
    """
    address = client_address(request)
    await proving.prove(request.user, data.password, address)
    await deleting.delete_user(request.user, address)


def _view(session: Session, current_id: UUID) -> SessionView:
    return SessionView(
        id=session.id,
        current=session.id == current_id,
        created_at=session.created_at,
        last_used_at=session.last_used_at,
        expires_at=session.expires_at,
        network=session.network,
    )

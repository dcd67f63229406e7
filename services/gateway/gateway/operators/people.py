"""What operators do to users: disable and enable them, and end their sessions. Users are named by id alone.

Operators see no email address: a user finds their id in `GET /me`, and logs and audit name users by it.
"""

from datetime import datetime
from uuid import UUID

import msgspec

from gateway.errors import NotFound
from gateway.store import disabled_users, operators, sessions, users
from gateway.store.operators import Act, Acting
from gateway.store.pool import Connection, Pool


class UserState(msgspec.Struct, frozen=True):
    """A user as operators see them; `disabled_at` is null for a user that may sign in."""

    id: UUID
    disabled_at: datetime | None
    open_sessions: int


async def show(pool: Pool, user_id: UUID) -> UserState:
    """Show a user; raises NotFound."""
    async with pool.transaction() as connection:
        return await _locked(connection, user_id)


async def disable(pool: Pool, acting: Acting, user_id: UUID) -> UserState:
    """Disable a user, whose tokens are refused from then on; raises NotFound.

    The sessions stay, for the day on which the user is enabled again. Open syncs get their outcome.
    """
    async with pool.transaction() as connection:
        await _locked(connection, user_id)
        await disabled_users.disable(connection, user_id)
        await operators.record(connection, acting, Act.USER_DISABLED, user_id)
        return await _state(connection, user_id)


async def enable(pool: Pool, acting: Acting, user_id: UUID) -> UserState:
    """Enable a user again; raises NotFound."""
    async with pool.transaction() as connection:
        await _locked(connection, user_id)
        await disabled_users.enable(connection, user_id)
        await operators.record(connection, acting, Act.USER_ENABLED, user_id)
        return await _state(connection, user_id)


async def end_sessions(pool: Pool, acting: Acting, user_id: UUID) -> int:
    """End all sessions of a user, and return how many there were; raises NotFound."""
    async with pool.transaction() as connection:
        await _locked(connection, user_id)
        ended = await sessions.end_all(connection, user_id)
        await operators.record(connection, acting, Act.SESSIONS_ENDED, user_id, ended=ended)
        return ended


async def _locked(connection: Connection, user_id: UUID) -> UserState:
    """Lock a user against logins; raises NotFound for an unknown or deleted one."""
    if not await users.lock_user(connection, user_id):
        raise NotFound("There is no such user.")
    return await _state(connection, user_id)


async def _state(connection: Connection, user_id: UUID) -> UserState:
    since = await disabled_users.disabled_at(connection, user_id)
    return UserState(user_id, since, await sessions.count_open(connection, user_id))

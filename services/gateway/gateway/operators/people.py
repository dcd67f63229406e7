"""What operators do to users: disable and enable them, and end their sessions. Users are named by id alone.

Operators see no email address: a user finds their id in `GET /me`, and logs and audit name users by it.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

import msgspec

from gateway.errors import NotFound
from gateway.store import disabled_users, operators, sessions, users
from gateway.store.operators import Act, Acting
from gateway.store.pool import Connection, Pool

Change = Callable[[Connection, UUID], Awaitable[None]]


class UserState(msgspec.Struct, frozen=True):
    """A user as operators see them; `disabled_at` is null for a user that may sign in."""

    id: UUID
    disabled_at: datetime | None
    open_sessions: int


async def show(pool: Pool, user_id: UUID) -> UserState:
    """Show a user; raises NotFound."""
    async with pool.transaction() as connection:
        await _lock(connection, user_id)
        return await _state(connection, user_id)


async def disable(pool: Pool, acting: Acting, user_id: UUID) -> UserState:
    """Disable a user, whose tokens are refused from then on; raises NotFound.

    The sessions stay, for the day on which the user is enabled again. Open syncs get their outcome.
    """
    return await _change(pool, acting, user_id, disabled_users.disable, Act.USER_DISABLED)


async def enable(pool: Pool, acting: Acting, user_id: UUID) -> UserState:
    """Enable a user again; raises NotFound."""
    return await _change(pool, acting, user_id, disabled_users.enable, Act.USER_ENABLED)


async def end_sessions(pool: Pool, acting: Acting, user_id: UUID) -> int:
    """End all sessions of a user, and return how many there were; raises NotFound."""
    async with pool.transaction() as connection:
        await _lock(connection, user_id)
        ended = await sessions.end_all(connection, user_id)
        await operators.record(connection, acting, Act.SESSIONS_ENDED, user_id, ended=ended)
        return ended


async def _change(pool: Pool, acting: Acting, user_id: UUID, change: Change, act: Act) -> UserState:
    async with pool.transaction() as connection:
        await _lock(connection, user_id)
        await change(connection, user_id)
        await operators.record(connection, acting, act, user_id)
        return await _state(connection, user_id)


async def _lock(connection: Connection, user_id: UUID) -> None:
    """Lock a user against logins; raises NotFound for an unknown or deleted one."""
    if not await users.lock_user(connection, user_id):
        raise NotFound("There is no such user.")


async def _state(connection: Connection, user_id: UUID) -> UserState:
    since = await disabled_users.disabled_at(connection, user_id)
    return UserState(user_id, since, await sessions.count_open(connection, user_id))

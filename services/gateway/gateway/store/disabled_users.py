"""Users whom an operator has disabled."""

from datetime import datetime
from uuid import UUID

from gateway.store.pool import Connection, execute, fetch_value


async def disable(connection: Connection, user_id: UUID) -> None:
    """Disable a locked user; the time of an earlier disabling stays."""
    await execute(
        connection,
        "insert into disabled_users (user_id) values (%(id)s) on conflict do nothing",
        id=user_id,
    )


async def enable(connection: Connection, user_id: UUID) -> None:
    """Enable a locked user."""
    await execute(connection, "delete from disabled_users where user_id = %(id)s", id=user_id)


async def disabled_at(connection: Connection, user_id: UUID) -> datetime | None:
    """Return since when a user is disabled; None if they are not."""
    since: datetime | None = await fetch_value(
        connection, "select disabled_at from disabled_users where user_id = %(id)s", id=user_id
    )
    return since

"""The ages of the oldest outbox messages and of the oldest open sync."""

import msgspec

from gateway.store.pool import Connection, fetch_all, fetch_value


class Oldest(msgspec.Struct, frozen=True):
    """The age in seconds of a stream's oldest message in the outbox."""

    stream: str
    seconds: float


async def oldest_messages(connection: Connection) -> list[Oldest]:
    """Return the age of the oldest outbox message of every stream that has one."""
    return await fetch_all(
        connection,
        Oldest,
        """select stream, extract(epoch from now() - min(created_at))::float as seconds
           from outbox group by stream""",
    )


async def oldest_sync(connection: Connection) -> float | None:
    """Return the age in seconds of the oldest sync without an outcome; None without such a sync."""
    age: float | None = await fetch_value(
        connection,
        "select extract(epoch from now() - min(requested_at))::float from syncs where status = 'queued'",
    )
    return age

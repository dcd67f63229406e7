"""The ages of the oldest outbox messages and of the oldest open sync."""

import msgspec

from gateway.store.pool import Connection, fetch_all, fetch_one


class Oldest(msgspec.Struct, frozen=True):
    """The age in seconds of a stream's oldest message in the outbox."""

    stream: str
    seconds: float


class OldestSync(msgspec.Struct, frozen=True):
    """The age in seconds of the oldest sync without an outcome; None without such a sync."""

    seconds: float | None


async def oldest_messages(connection: Connection) -> list[Oldest]:
    """Return the age of the oldest outbox message of every stream that has one."""
    return await fetch_all(
        connection,
        Oldest,
        """select stream, extract(epoch from now() - min(created_at))::float as seconds
           from outbox group by stream""",
    )


async def oldest_sync(connection: Connection) -> float | None:
    """Return the age of the oldest sync without an outcome."""
    found = await fetch_one(
        connection,
        OldestSync,
        """select extract(epoch from now() - min(requested_at))::float as seconds
           from syncs where status = 'queued'""",
    )
    return found.seconds if found else None

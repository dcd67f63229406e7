"""What waits in the database, by the age of the oldest."""

import msgspec

from gateway.store.pool import Connection, fetch_all, fetch_one


class Oldest(msgspec.Struct, frozen=True):
    """The age in seconds of the oldest message of a stream that waits in the outbox."""

    stream: str
    seconds: float


class OldestSync(msgspec.Struct, frozen=True):
    """The age in seconds of the oldest sync without an outcome; None when there is no such sync."""

    seconds: float | None


async def oldest_messages(connection: Connection) -> list[Oldest]:
    """Give the oldest message of every stream that has one in the outbox."""
    return await fetch_all(
        connection,
        Oldest,
        """select stream, extract(epoch from now() - min(created_at))::float as seconds
           from outbox group by stream""",
    )


async def oldest_sync(connection: Connection) -> float | None:
    """Give the age of the oldest sync without an outcome."""
    found = await fetch_one(
        connection,
        OldestSync,
        """select extract(epoch from now() - min(requested_at))::float as seconds
           from syncs where status = 'queued'""",
    )
    return found.seconds if found else None

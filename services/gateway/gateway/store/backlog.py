"""The ages of the oldest outbox messages and of the oldest open sync; how late schedule and closes are."""

from collections.abc import Sequence

import msgspec

from gateway.store.closes import SETTLED
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


async def longest_due(connection: Connection, exchanges: Sequence[str]) -> float | None:
    """Return for how many seconds the account that is due the longest waits; None if none is due.

    Accounts of an exchange that an operator has paused do not wait.
    """
    waited: float | None = await fetch_value(
        connection,
        """select extract(epoch from now() - min(first.next_at))::float
           from unnest(%(exchanges)s::text[]) as key cross join lateral (
               select next_at from schedule where exchange = key and next_at is not null and next_at <= now()
               order by next_at limit 1) first
           where not exists (select from paused_exchanges where paused_exchanges.exchange = key)""",
        exchanges=list(exchanges),
    )
    return waited


async def longest_unclosed(connection: Connection) -> float | None:
    """Return for how many seconds a day could have been closed and is not; None if no day waits."""
    waited: float | None = await fetch_value(
        connection,
        f"""select extract(epoch from now() - min(next_close_at) - {SETTLED})::float from user_clocks
            where next_close_at < now() - {SETTLED}""",  # noqa: S608 - a constant
    )
    return waited

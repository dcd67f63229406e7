"""Counts and sizes for operators; none of them is an amount of money."""

import msgspec

from gateway.store.pool import Connection, fetch_one, fetch_value


class Counts(msgspec.Struct, frozen=True):
    """The number of users, accounts, open syncs and outbox messages, and the age of the oldest in seconds.

    Accounts are connected, or paused with a key that is not used; deleted ones do not count. An age is null
    where nothing waits.
    """

    users: int
    disabled_users: int
    connected_accounts: int
    paused_accounts: int
    open_syncs: int
    oldest_sync_seconds: float | None
    outbox_messages: int
    oldest_message_seconds: float | None
    pending_credentials: int
    doomed_credentials: int
    oldest_unclosed_day_seconds: float | None


async def count(connection: Connection) -> Counts:
    """Count all of it in one statement."""
    counts = await fetch_one(
        connection,
        Counts,
        """with paused as (
               select count(*) from account_pauses join accounts on accounts.id = account_pauses.account_id
                  and accounts.credential_id = account_pauses.credential_id
               where accounts.deleted_at is null),
           alive as (select count(*) from accounts where deleted_at is null)
           select (select count(*) from users) - (select count(*) from deleted_users) as users,
                  (select count(*) from disabled_users) as disabled_users,
                  (table alive) - (table paused) as connected_accounts, (table paused) as paused_accounts,
                  open.number as open_syncs, open.age as oldest_sync_seconds,
                  waiting.number as outbox_messages, waiting.age as oldest_message_seconds,
                  (select count(*) from credentials where state = 'pending') as pending_credentials,
                  (select count(*) from credentials where state = 'doomed') as doomed_credentials,
                  (select extract(epoch from now() - min(next_close_at))::float8 from user_clocks
                   where next_close_at < now()) as oldest_unclosed_day_seconds
           from (select count(*) as number, extract(epoch from now() - min(requested_at))::float8 as age
                 from syncs where status = 'queued') open,
                (select count(*) as number, extract(epoch from now() - min(created_at))::float8 as age
                 from outbox) waiting""",
    )
    assert counts is not None  # noqa: S101 - aggregates return a row
    return counts


async def database_bytes(connection: Connection) -> int:
    """Return the size of the database on its disk."""
    size: int = await fetch_value(connection, "select pg_database_size(current_database())")
    return size

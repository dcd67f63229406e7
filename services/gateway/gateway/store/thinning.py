"""Thinning snapshots: claiming an account, and deleting the snapshots that the rule names."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from gateway.store.pool import Connection, execute, fetch_one, fetch_value


class Due(msgspec.Struct, frozen=True):
    """An account whose snapshots are thinned until a time; all that held at `settled` or later are needed."""

    account_id: UUID
    until: datetime
    settled: datetime


async def claim(connection: Connection, others_than: Sequence[UUID] = ()) -> Due | None:
    """Lock an account that is due, the longest first; one that is locked already is left out.

    Settled is what is older than two days, and before the end of the user's first day that is not closed.
    """
    return await fetch_one(
        connection,
        Due,
        """select account_id, until, least(now() - interval '2 days', (
               select next_close_at from user_clocks join accounts using (user_id)
               where accounts.id = thinnings.account_id)) as settled
           from thinnings where next_at <= now() and account_id <> all(%(others_than)s)
           order by next_at limit 1 for update skip locked""",
        others_than=list(others_than),
    )


async def list_beginnings(
    connection: Connection, account_id: UUID, first: datetime, last: datetime
) -> list[datetime]:
    """List when an account's snapshots began after a time until another, with one before and the open one."""
    found: list[datetime] = await fetch_value(
        connection,
        """select array(
               (select since from snapshots where account_id = %(account)s and since <= %(first)s
                order by since desc limit 1)
               union all
               select since from snapshots
               where account_id = %(account)s and since > %(first)s and since <= %(last)s
               union all
               select since from open_snapshots where account_id = %(account)s
               order by since)""",
        account=account_id,
        first=first,
        last=last,
    )
    return found


async def delete(connection: Connection, account_id: UUID, gone: Sequence[datetime]) -> int:
    """Delete the snapshots of an account that began at these times; returns how many."""
    return await execute(
        connection,
        """delete from snapshots where account_id = %(account)s and since = any(%(gone)s)
           and since between %(first)s and %(last)s""",
        account=account_id,
        gone=list(gone),
        first=gone[0],
        last=gone[-1],
    )


async def mark(connection: Connection, account_id: UUID, changed: Mapping[datetime, datetime]) -> None:
    """Say of snapshots, by their beginning, since when they no longer hold."""
    await execute(
        connection,
        """update snapshots set changed_at = said.changed_at
           from unnest(%(since)s::timestamptz[], %(changed)s::timestamptz[]) as said (since, changed_at)
           where snapshots.account_id = %(account)s and snapshots.since = any(%(since)s)
               and snapshots.since between %(first)s and %(last)s and snapshots.since = said.since""",
        account=account_id,
        since=list(changed),
        changed=list(changed.values()),
        first=min(changed),
        last=max(changed),
    )


async def advance(connection: Connection, account_id: UUID, until: datetime, *, is_behind: bool) -> None:
    """Set until when an account is thinned; it is looked at again in a day, or at once if it is behind."""
    await execute(
        connection,
        """update thinnings set until = %(until)s,
               next_at = now() + case when %(is_behind)s then interval '0' else interval '1 day' end
           where account_id = %(account)s""",
        account=account_id,
        until=until,
        is_behind=is_behind,
    )

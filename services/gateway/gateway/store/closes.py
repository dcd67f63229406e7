"""The clocks of users, and the closes of their days."""

from collections.abc import Sequence
from datetime import date
from typing import LiteralString
from uuid import UUID

import msgspec

from gateway.rows.closes import Clock, Close, Closed
from gateway.rows.snapshots import Past
from gateway.store.pool import Connection, execute, fetch_one

# Syncs that read before midnight are recorded within five minutes after it.
SETTLED: LiteralString = "interval '5 minutes'"
CLOCK: LiteralString = "select user_id, zone, next_zone, next_day, next_close_at from user_clocks"


async def claim(connection: Connection, others_than: Sequence[UUID]) -> Clock | None:
    """Lock a clock whose day has ended, the longest ago first; one that is locked already is left out."""
    return await fetch_one(
        connection,
        Clock,
        f"""{CLOCK} where next_close_at < now() - {SETTLED} and user_id <> all(%(others_than)s)
            order by next_close_at limit 1 for update skip locked""",
        others_than=list(others_than),
    )


async def write(connection: Connection, closes: Sequence[Close]) -> None:
    """Write the closes of days; an account that was deleted meanwhile has none."""
    await execute(
        connection,
        """insert into closes (account_id, day, at, until, fresh_seconds, snapshot_id, content, sum)
           select said.* from json_to_recordset(%(closes)s::json) as said (
               account_id uuid, day date, at timestamptz, until timestamptz, fresh_seconds integer,
               snapshot_id uuid, content jsonb, sum json)
           join (select id from accounts where id = any(%(ids)s) and deleted_at is null
                 order by id for share) as alive on alive.id = said.account_id
           on conflict do nothing""",
        closes=msgspec.json.encode(closes).decode(),
        ids=[close.account_id for close in closes],
    )


async def advance(connection: Connection, clock: Clock) -> None:
    """Set the day that is closed next."""
    await execute(
        connection,
        """update user_clocks
           set zone = %(zone)s, next_zone = null, next_day = %(day)s, next_close_at = %(at)s
           where user_id = %(user_id)s""",
        user_id=clock.user_id,
        zone=clock.zone,
        day=clock.next_day,
        at=clock.next_close_at,
    )


async def find_clock(connection: Connection, user_id: UUID) -> Clock | None:
    """Find the clock of a user; None before the first snapshot, if the zone was never set."""
    return await fetch_one(connection, Clock, f"{CLOCK} where user_id = %(user_id)s", user_id=user_id)


async def set_zone(connection: Connection, clock: Clock) -> Clock:
    """Set the zone that counts from the next midnight on; a clock that is new starts as given."""
    row = await fetch_one(
        connection,
        Clock,
        """insert into user_clocks (user_id, zone, next_day, next_close_at)
           values (%(user_id)s, %(zone)s, %(day)s, %(at)s)
           on conflict (user_id) do update
           set next_zone = nullif(excluded.zone, user_clocks.zone)
           returning user_id, zone, next_zone, next_day, next_close_at""",
        user_id=clock.user_id,
        zone=clock.zone,
        day=clock.next_day,
        at=clock.next_close_at,
    )
    assert row is not None  # noqa: S101 - it was just written
    return row


async def find_closed(
    connection: Connection,
    user_id: UUID,
    account_id: UUID | None,
    days: Sequence[date],
    *,
    carried: bool = False,
) -> list[Past]:
    """Find a user's accounts, or one of them, with the closes of days in place of snapshots.

    With `carried`, also find the last close before the first of the days.
    """
    rows = await connection.execute(
        """select json_build_object('account_id', id, 'name', name, 'exchange', exchange,
               'created_at', created_at, 'interval_seconds', null, 'open', null, 'wallets', '[]'::json,
               'ended', coalesce((
                   select json_agg(json_build_object('id', snapshot_id, 'since', at, 'until', until,
                       'fresh_seconds', fresh_seconds, 'content', content, 'day', day) order by day)
                   from closes where account_id = accounts.id and (day = any(%(days)s::date[])
                       or day = (select max(day) from closes before where before.account_id = accounts.id
                                 and before.day < %(before)s::date))), '[]'))::text
           from accounts
           where user_id = %(user_id)s and deleted_at is null
               and (%(account_id)s::uuid is null or id = %(account_id)s)
           order by created_at, id""",
        {
            "user_id": user_id,
            "account_id": account_id,
            "days": list(days),
            "before": min(days, default=None) if carried else None,
        },
    )
    return [msgspec.json.decode(row[0], type=Past) for row in await rows.fetchall()]


async def find_sizes(connection: Connection, user_id: UUID, days: Sequence[date]) -> dict[date, int]:
    """Find the bytes of the stored closes of each of some days in a row, without reading their contents."""
    rows = await connection.execute(
        """select day, sum(pg_column_size(content))
           from accounts join closes on closes.account_id = accounts.id
           where user_id = %(user_id)s and deleted_at is null and day between %(first)s and %(last)s
           group by day""",
        {"user_id": user_id, "first": min(days), "last": max(days)},
    )
    return {day: int(size) for day, size in await rows.fetchall()}


async def find_sums(
    connection: Connection, user_id: UUID, account_id: UUID | None, days: Sequence[date]
) -> list[Closed]:
    """Find a user's accounts, or one of them, with the sums of the closes of days, and no content."""
    rows = await connection.execute(
        """select json_build_object('account_id', id, 'name', name, 'exchange', exchange,
               'created_at', created_at, 'is_carried', exists (
                   select from closes where account_id = accounts.id and day < %(first)s::date),
               'days', coalesce((
                   select json_agg(json_build_array(day, at, until, fresh_seconds, sum) order by day)
                   from closes where account_id = accounts.id and day between %(first)s and %(last)s
                       and day = any(%(days)s::date[])), '[]'))::text
           from accounts
           where user_id = %(user_id)s and deleted_at is null
               and (%(account_id)s::uuid is null or id = %(account_id)s)
           order by created_at, id""",
        {"user_id": user_id, "account_id": account_id, "days": list(days)}
        | {"first": min(days), "last": max(days)},
    )
    return [msgspec.json.decode(row[0], type=Closed) for row in await rows.fetchall()]

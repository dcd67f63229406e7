"""What grows with time: old syncs become a count of their day, old months are dropped, new ones added."""

from datetime import date
from typing import LiteralString
from uuid import UUID

from gateway.rows.syncs import SyncDay
from gateway.store.pool import Connection, execute, fetch_all, fetch_value

# The lowest UUIDv7 of the moment 90 days ago: ids of syncs and batches begin with their time in milliseconds.
OLD: LiteralString = """(
    lpad(to_hex((extract(epoch from now() - interval '90 days') * 1000)::bigint), 12, '0') || repeat('0', 20)
)::uuid"""
# Ends of syncs, counted by status.
_COUNTED: LiteralString = """count(*) filter (where status = 'completed') as completed,
    count(*) filter (where status = 'partial') as partial,
    count(*) filter (where status = 'failed') as failed"""


async def delete_old_syncs(connection: Connection, limit: int) -> int:
    """Count the syncs that are older than 90 days by account and day, and delete them; returns how many.

    At most `limit`. A sync that has not ended stays, and so does one of a batch until the batch is deleted.
    """
    # An array, because a join would have PostgreSQL read the whole table: it expects any number of old syncs.
    return await execute(
        connection,
        f"""with old as (
                select id, account_id, status, (requested_at at time zone 'UTC')::date as day from syncs
                where id < {OLD} and finished_at is not null
                   and not exists (select from sync_batch_members where sync_id = syncs.id)
                order by id limit %(limit)s for update skip locked
            ), counted as (
                insert into sync_days as kept (account_id, day, completed, partial, failed)
                select account_id, day, {_COUNTED} from old group by account_id, day order by account_id, day
                on conflict (account_id, day) do update set completed = kept.completed + excluded.completed,
                    partial = kept.partial + excluded.partial, failed = kept.failed + excluded.failed
            )
            delete from syncs where id = any (array(select id from old))""",  # noqa: S608 - constants
        limit=limit,
    )


async def delete_old_batches(connection: Connection, limit: int) -> int:
    """Delete batches that are older than 90 days, at most `limit`; returns how many. Their syncs stay."""
    return await execute(
        connection,
        f"""delete from sync_batches where id = any (array(
                select id from sync_batches where id < {OLD} order by id limit %(limit)s
                for update skip locked))""",  # noqa: S608 - constants
        limit=limit,
    )


async def list_days(connection: Connection, account_id: UUID, first: date, last: date) -> list[SyncDay]:
    """List how many syncs of an account ended on each day (UTC) of a range, newest first.

    Days without a sync have no row. A sync is of the day of its request.
    """
    return await fetch_all(
        connection,
        SyncDay,
        f"""select day, sum(completed)::integer as completed, sum(partial)::integer as partial,
                sum(failed)::integer as failed
            from (select day, completed, partial, failed from sync_days
                  where account_id = %(account)s and day between %(first)s and %(last)s
                  union all
                  select (requested_at at time zone 'UTC')::date, {_COUNTED} from syncs
                  where account_id = %(account)s and finished_at is not null
                     and requested_at >= %(first)s::date::timestamp at time zone 'UTC'
                     and requested_at < (%(last)s::date + 1)::timestamp at time zone 'UTC'
                  group by 1) as each_day (day, completed, partial, failed)
            group by day order by day desc""",  # noqa: S608 - constants
        account=account_id,
        first=first,
        last=last,
    )


async def add_partition(connection: Connection) -> str | None:
    """Add a partition for a time to come; returns its name, None if none is missing."""
    name: str | None = await fetch_value(connection, "select add_partition()")
    return name


async def drop_partition(connection: Connection) -> str | None:
    """Drop a partition of old snapshots or prices; returns its name, None if there is none."""
    name: str | None = await fetch_value(connection, "select drop_partition()")
    return name

"""Snapshots of accounts: the one that holds, and the ended ones."""

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import msgspec

from gateway.rows.snapshots import Begun, Content, Past, Place, Step
from gateway.store.balances import WALLETS_JSON
from gateway.store.pool import Connection, fetch_all

# The snapshot that holds for an account of the query, as JSON.
OPEN_JSON: LiteralString = """(select json_build_object('since', since, 'facts', facts)
            from open_snapshots where account_id = accounts.id)"""


class _Ended(msgspec.Struct, frozen=True):
    """A snapshot that has ended, as JSON."""

    account_id: UUID
    content: str


async def begin(connection: Connection, begun: Sequence[Begun]) -> dict[UUID, Content]:
    """Begin snapshots of locked accounts, and end the open ones; returns the contents of these."""
    ended = await fetch_all(
        connection,
        _Ended,
        """with said as materialized (
               select * from json_to_recordset(%(begun)s::json) as said (
                   account_id uuid, user_id uuid, id uuid, since timestamptz, until timestamptz,
                   fresh_seconds integer, facts uuid, content jsonb)),
           ended as (
               insert into snapshots (account_id, since, until, fresh_seconds, user_id, id, content)
               select held.account_id, held.since, said.until, said.fresh_seconds, held.user_id, held.id,
                   held.content
               from said join open_snapshots held on held.account_id = said.account_id
               where held.account_id = any(%(ids)s) returning account_id, content::text),
           opened as (insert into open_snapshots (account_id, user_id, id, since, facts, content)
           -- In one order, because the first snapshot of a user adds a row that another transaction may add.
           select account_id, user_id, id, since, facts, content from said order by user_id
           on conflict (account_id) do update
           set id = excluded.id, since = excluded.since, facts = excluded.facts,
               content = excluded.content)
           select account_id, content from ended""",
        begun=msgspec.json.encode(begun).decode(),
        ids=[each.account_id for each in begun],
    )
    return {each.account_id: msgspec.json.decode(each.content, type=Content) for each in ended}


# Of each account the snapshots that held at one of the times; several times often have one.
_PAST: LiteralString = f"""
    with wanted as (
        select distinct accounts.id as account_id, held.since
        from accounts cross join unnest(%(times)s::timestamptz[]) as asked (time)
        cross join lateral (
            select since from snapshots
            where snapshots.account_id = accounts.id and snapshots.since <= asked.time
            order by since desc limit 1) held
        where user_id = %(user_id)s and deleted_at is null
            and (%(account_id)s::uuid is null or accounts.id = %(account_id)s))
    select json_build_object('account_id', accounts.id, 'name', name, 'exchange', exchange,
        'created_at', created_at, 'interval_seconds', (
            select interval_seconds from schedule where schedule.account_id = accounts.id),
        'ended', coalesce((
            select json_agg(json_build_object('id', id, 'since', since, 'until', until,
                'fresh_seconds', fresh_seconds, 'content', content, 'changed_at', changed_at)
                order by since)
            from wanted join snapshots using (account_id, since)
            where wanted.account_id = accounts.id), '[]'),
        'open', (
            select json_build_object('id', id, 'since', since, 'content', content)
            from open_snapshots where open_snapshots.account_id = accounts.id),
        'wallets', {WALLETS_JSON})::text
    from accounts
    where user_id = %(user_id)s and deleted_at is null
        and (%(account_id)s::uuid is null or accounts.id = %(account_id)s)
    order by created_at, id"""  # noqa: S608 - constants


async def find_past(
    connection: Connection, user_id: UUID, account_id: UUID | None, times: Sequence[datetime]
) -> list[Past]:
    """Find a user's accounts, or one of them, with the snapshots that held at these times."""
    rows = await connection.execute(
        _PAST, {"user_id": user_id, "account_id": account_id, "times": list(times)}
    )
    return [msgspec.json.decode(row[0], type=Past) for row in await rows.fetchall()]


# An account has few of them within a page, which its primary key finds in order.
_STEPS: LiteralString = """
    with own as (select id as account_id from accounts where user_id = %(user_id)s and deleted_at is null),
    listed as (
        select account_id, since, id, content from open_snapshots join own using (account_id)
        where since between %(first)s and %(last)s and (since, id) < (%(since)s, %(id)s)
        union all
        select found.* from own cross join lateral (
            select account_id, since, id, content from snapshots
            where snapshots.account_id = own.account_id and since between %(first)s and %(last)s
                and (since, id) < (%(since)s, %(id)s)
            order by since desc limit %(limit)s) found
        order by since desc, id desc limit %(limit)s)
    select json_build_object('account_id', account_id, 'id', id, 'since', since, 'content', content,
        'before', (
            select json_build_object('until', until, 'content', content) from snapshots
            where snapshots.account_id = listed.account_id and snapshots.since < listed.since
            order by snapshots.since desc limit 1))::text
    from listed order by since desc, id desc"""


async def list_steps(
    connection: Connection, user_id: UUID, first: datetime, before: Place, limit: int
) -> list[Step]:
    """List the snapshots of a user's accounts that began from a time on, newest first, before a place."""
    values = {"user_id": user_id, "first": first, "last": before.since, "limit": limit}
    rows = await connection.execute(_STEPS, values | {"since": before.since, "id": before.id})
    return [msgspec.json.decode(row[0], type=Step) for row in await rows.fetchall()]

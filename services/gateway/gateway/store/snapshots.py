"""Snapshots of accounts: the one that holds, and those that have ended."""

from collections.abc import Sequence
from typing import LiteralString

import msgspec

from gateway.rows.snapshots import Begun
from gateway.store.pool import Connection, execute

# The snapshot that holds for an account of the query, as JSON.
OPEN_JSON: LiteralString = """(select json_build_object('since', since, 'facts', facts)
            from open_snapshots where account_id = accounts.id)"""


async def begin(connection: Connection, begun: Sequence[Begun]) -> None:
    """Begin snapshots of locked accounts, and end those that held."""
    await execute(
        connection,
        """with said as materialized (
               select * from json_to_recordset(%(begun)s::json) as said (
                   account_id uuid, user_id uuid, id uuid, since timestamptz, until timestamptz,
                   fresh_seconds integer, facts uuid, content jsonb)),
           ended as (
               insert into snapshots (account_id, since, until, fresh_seconds, user_id, id, content)
               select held.account_id, held.since, said.until, said.fresh_seconds, held.user_id, held.id,
                   held.content
               from said join open_snapshots held on held.account_id = said.account_id
               where held.account_id = any(%(ids)s))
           insert into open_snapshots (account_id, user_id, id, since, facts, content)
           select account_id, user_id, id, since, facts, content from said
           on conflict (account_id) do update
           set id = excluded.id, since = excluded.since, facts = excluded.facts,
               content = excluded.content""",
        begun=msgspec.json.encode(begun).decode(),
        ids=[each.account_id for each in begun],
    )

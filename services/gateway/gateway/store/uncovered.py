"""Parts of accounts that no wallet contains."""

from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

import msgspec

from gateway.rows.balances import StoredWallet
from gateway.rows.sub_accounts import ListState
from gateway.rows.uncovered import StoredPart
from gateway.store.balances import WALLETS_JSON
from gateway.store.pool import Connection

# A part of the statement that records syncs; `said` has the rows.
KEEP_UNCOVERED: LiteralString = """
    found as (
        insert into uncovered as kept (account_id, part, name, sync_number, as_of, error_code, listed)
        select said.account_id, one.part, one.name, one.sync_number, one.as_of, one.error_code, one.listed
        from said cross join lateral json_to_recordset(said.uncovered) as one (
            part text, name text, sync_number bigint, as_of timestamptz, error_code text, listed jsonb)
        where said.account_id is not null
        on conflict (account_id, part) do update
        set name = excluded.name, sync_number = excluded.sync_number, error_code = excluded.error_code,
            as_of = case when excluded.as_of is null then kept.as_of else excluded.as_of end,
            listed = case when excluded.as_of is null then kept.listed else excluded.listed end
        where kept.sync_number < excluded.sync_number),"""

# The parts of an account of the query, as JSON.
UNCOVERED_JSON: LiteralString = """coalesce((select json_agg(json_build_object(
            'part', part, 'name', name, 'sync_number', sync_number, 'as_of', as_of,
            'error_code', error_code, 'listed', listed) order by part)
            from uncovered where account_id = accounts.id), '[]')"""


# The last list of the sub-accounts of an account of the query, as JSON; null for one that lists none.
LISTING_JSON: LiteralString = """(select json_build_object('account_id', account_id, 'listed_at', listed_at,
            'error_code', error_code, 'more', more, 'unreadable', unreadable, 'left_out', left_out)
            from sub_account_lists where account_id = accounts.id)"""


class Beside(msgspec.Struct, frozen=True):
    """The stored parts of an account, its stored wallets, and the list of its sub-accounts."""

    account_id: UUID
    parts: list[StoredPart]
    wallets: list[StoredWallet]
    listing: ListState | None = None


async def find_beside(connection: Connection, account_ids: Sequence[UUID]) -> list[Beside]:
    """Find the parts and the wallets of accounts."""
    rows = await connection.execute(
        f"""select json_build_object('account_id', id, 'parts', {UNCOVERED_JSON},
                'wallets', {WALLETS_JSON}, 'listing', {LISTING_JSON})::text
            from accounts where id = any(%s)""",  # noqa: S608 - constants
        [list(account_ids)],
    )
    return [msgspec.json.decode(row[0], type=Beside) for row in await rows.fetchall()]

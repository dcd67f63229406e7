"""The differences between lists and the exchange's totals, and open positions, by account."""

from typing import LiteralString
from uuid import UUID

from gateway.rows.drift import Drift, StoredPositions
from gateway.store.pool import Connection, fetch_all

# Parts of the statement that records syncs; `said` has their rows. A row without its wallet is left out.
KEEP_DRIFT: LiteralString = """
    drifted as (
        insert into drift (account_id, wallet, sync_number, at, ours, theirs, missing)
        select said.account_id, one.wallet, one.sync_number, one.at, one.ours, one.theirs, one.missing
        from said cross join lateral json_to_recordset(said.drift) as one (
            wallet text, sync_number bigint, at timestamptz, ours numeric, theirs numeric, missing numeric)
        where said.account_id is not null
        on conflict do nothing),"""

KEEP_POSITIONS: LiteralString = """
    opened as (
        insert into positions as kept (account_id, wallet, sync_number, as_of, error_code, listed)
        select said.account_id, one.wallet, one.sync_number, one.as_of, one.error_code, one.listed
        from said cross join lateral json_to_recordset(said.positions) as one (
            wallet text, sync_number bigint, as_of timestamptz, error_code text, listed jsonb)
        where said.account_id is not null
        on conflict (account_id, wallet) do update
        set sync_number = excluded.sync_number, error_code = excluded.error_code,
            as_of = case when excluded.as_of is null then kept.as_of else excluded.as_of end,
            listed = case when excluded.as_of is null then kept.listed else excluded.listed end
        where kept.sync_number < excluded.sync_number),"""


async def list_drift(connection: Connection, account_id: UUID, before: int | None, limit: int) -> list[Drift]:
    """List the comparisons of an account's last syncs before a number, the newest first; `limit` syncs."""
    return await fetch_all(
        connection,
        Drift,
        """select wallet, sync_number, at, ours, theirs, missing from drift
           where account_id = %(account_id)s and sync_number in (
               select distinct sync_number from drift
               where account_id = %(account_id)s and (%(before)s::bigint is null or sync_number < %(before)s)
               order by sync_number desc limit %(limit)s)
           order by sync_number desc, wallet""",
        account_id=account_id,
        before=before,
        limit=limit,
    )


async def list_positions(connection: Connection, account_id: UUID) -> list[StoredPositions]:
    """List the stored positions of an account, by wallet."""
    return await fetch_all(
        connection,
        StoredPositions,
        """select wallet, sync_number, as_of, error_code, listed from positions
           where account_id = %(account_id)s order by wallet""",
        account_id=account_id,
    )

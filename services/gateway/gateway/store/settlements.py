"""Syncs past their deadline, and when a gateway last settled each."""

from datetime import datetime

from gateway.rows.syncs import Overdue
from gateway.store.pool import Connection, execute, fetch_all


async def take_overdue(
    connection: Connection, exchanges: list[str], over_at: datetime, again_seconds: float, limit: int
) -> list[Overdue]:
    """Claim open syncs past their deadline at `over_at`, each once in `again_seconds` for all gateways."""
    return await fetch_all(
        connection,
        Overdue,
        """with over as (
               select id, account_id, exchange, publications, deadline from syncs
               where status = 'queued' and deadline < %(over_at)s and exchange = any(%(exchanges)s)
                  and not exists (select from sync_settlements where sync_id = syncs.id
                                  and settled_at > now() - make_interval(secs => %(again)s))
               order by deadline limit %(limit)s for update skip locked),
           noted as (
               insert into sync_settlements as earlier (sync_id) select id from over
               on conflict (sync_id) do update set settled_at = now(), times = earlier.times + 1
                  where earlier.settled_at <= now() - make_interval(secs => %(again)s)
               returning sync_id, times)
           select over.*, noted.times,
               (select credential_id from accounts where accounts.id = over.account_id) as credential_id
           from over join noted on noted.sync_id = over.id""",
        exchanges=exchanges,
        over_at=over_at,
        again=again_seconds,
        limit=limit,
    )


async def delete_old_settlements(connection: Connection, limit: int) -> int:
    """Delete settlements after an hour; returns how many, at most `limit`."""
    return await execute(
        connection,
        """delete from sync_settlements where sync_id in (
               select sync_id from sync_settlements where settled_at < now() - interval '1 hour'
               limit %(limit)s for update skip locked)""",
        limit=limit,
    )

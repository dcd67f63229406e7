"""Accounts without a schedule, whose keys are verified on days on which no sync has proven their rights."""

from collections.abc import Sequence
from uuid import UUID

from gateway.rows.schedules import Unsynced
from gateway.store.pool import Connection, execute, fetch_all


async def claim(
    connection: Connection, exchanges: Sequence[str], again_in: float, limit: int
) -> list[Unsynced]:
    """Claim accounts whose key is due to be verified, and set when it is due again.

    That is in so many seconds, or so many after the last completed sync.
    """
    return await fetch_all(
        connection,
        Unsynced,
        """with due as (
               select account_id from schedule
               where verify_at <= now() and interval_seconds is null and exchange = any(%(exchanges)s)
                   and not exists (
                       select from sub_accounts where sub_accounts.account_id = schedule.account_id)
               order by verify_at limit %(limit)s for update skip locked)
           update schedule set verify_at = make_interval(secs => %(seconds)s) + case
               when accounts.last_synced_at between now() - make_interval(secs => %(seconds)s) and now()
               then accounts.last_synced_at else now() end
           from accounts
           where schedule.account_id in (select account_id from due) and accounts.id = schedule.account_id
           returning accounts.id as account_id, accounts.credential_id, accounts.exchange, accounts.region,
               accounts.last_synced_at is not null
               and accounts.last_synced_at > now() - make_interval(secs => %(seconds)s) as synced,
               exists (select from account_pauses where account_pauses.account_id = accounts.id
                       and account_pauses.credential_id = accounts.credential_id)
               or exists (select from paused_exchanges
                          where paused_exchanges.exchange = schedule.exchange)
               or exists (select from disabled_users
                          where disabled_users.user_id = accounts.user_id) as closed""",
        exchanges=list(exchanges),
        seconds=again_in,
        limit=limit,
    )


async def postpone(connection: Connection, account_id: UUID, verify_in: float) -> None:
    """Set in how many seconds the key of an account is verified, unless it has a schedule now."""
    await execute(
        connection,
        """update schedule set verify_at = now() + make_interval(secs => %(seconds)s)
           where account_id = %(id)s and interval_seconds is null""",
        id=account_id,
        seconds=verify_in,
    )

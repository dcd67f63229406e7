"""Syncs: opened, found, locked and ended."""

from datetime import datetime
from typing import LiteralString
from uuid import UUID

from contracts.syncs import Cause
from gateway.rows.accounts import Account
from gateway.rows.pauses import Pause, Stand
from gateway.rows.syncs import Overdue, Queued, Sync
from gateway.store.pauses import OF_ACCOUNTS, PAUSE_JSON
from gateway.store.pool import Connection, fetch_all, fetch_one, fetch_value

# The columns of a Sync; separate tables hold whether its rights are unproven, its cause and its retry.
SHOWN: LiteralString = """select syncs.*,
    (select retry_at from sync_retries where sync_id = syncs.id) as retry_at,
    exists (select from unproven_syncs where sync_id = syncs.id) as rights_unproven, case when exists (
        select from scheduled_syncs where sync_id = syncs.id) then 'schedule' else 'person' end as cause
    from syncs"""


async def open_sync(connection: Connection, sync_id: UUID, account: Account, seconds: float) -> Sync:
    """Open a sync with a deadline in `seconds`, or return the open sync of the locked account.

    The row of an open sync is not locked, because other transactions lock several of them in another order.
    """
    opened = await fetch_one(
        connection,
        Sync,
        """insert into syncs (id, user_id, account_id, exchange, deadline)
           values (%(id)s, %(user_id)s, %(account_id)s, %(exchange)s,
                   now() + make_interval(secs => %(seconds)s))
           on conflict (account_id) where status = 'queued' do nothing returning *""",
        id=sync_id,
        user_id=account.user_id,
        account_id=account.id,
        exchange=account.exchange,
        seconds=seconds,
    )
    sync = opened or await find_open(connection, account.id)
    assert sync is not None  # noqa: S101 - no sync of a locked account ends
    return sync


async def find(connection: Connection, sync_id: UUID) -> Sync | None:
    """Find a sync of any user, without a lock."""
    return await fetch_one(connection, Sync, "select * from syncs where id = %(id)s", id=sync_id)


# An open sync has no end. A condition on its status would have PostgreSQL read all open syncs by a partial
# index of these, however many wait, and not only these by their ids.
_QUEUED: LiteralString = """
    select syncs.id, syncs.number, syncs.account_id, syncs.exchange, syncs.requested_at, syncs.deadline,
        syncs.publications, clock_timestamp() as now, accounts.deleted_at is not null as deleted,
        accounts.user_id, accounts.credential_id, case when exists (
            select from scheduled_syncs where sync_id = syncs.id) then 'schedule' else 'person' end as cause,
        (select json_build_object('uid', accounts.exchange_uid, 'name', sub_accounts.name)
         from sub_accounts where sub_accounts.account_id = accounts.id) as sub_account
    from accounts join syncs on syncs.account_id = accounts.id
    where syncs.id = any(%(ids)s) and syncs.finished_at is null order by accounts.id"""


async def find_queued(connection: Connection, sync_ids: list[UUID]) -> dict[UUID, Queued]:
    """Find the open ones of the syncs, without a lock."""
    return {sync.id: sync for sync in await fetch_all(connection, Queued, _QUEUED, ids=sync_ids)}


async def lock_queued(connection: Connection, sync_ids: list[UUID], *, wait: bool) -> dict[UUID, Queued]:
    """Find the open ones of the syncs, and lock them and their accounts.

    Without `wait`, syncs with a row locked by another transaction are left out.
    """
    query: LiteralString = _QUEUED + " for update of accounts, syncs"
    if not wait:
        query += " skip locked"
    return {sync.id: sync for sync in await fetch_all(connection, Queued, query, ids=sync_ids)}


async def find_open(connection: Connection, account_id: UUID) -> Sync | None:
    """Find the open sync of an account."""
    return await fetch_one(
        connection, Sync, "select * from syncs where account_id = %(id)s and status = 'queued'", id=account_id
    )


async def granted_until(connection: Connection, account_id: UUID) -> datetime | None:
    """Return the last deadline of the open syncs of an account and of its sub-accounts; None without one."""
    until: datetime | None = await fetch_value(
        connection,
        """select max(deadline) from syncs where status = 'queued' and account_id in (
               select %(id)s::uuid union all select account_id from sub_accounts where parent_id = %(id)s)""",
        id=account_id,
    )
    return until


async def find_sync(connection: Connection, user_id: UUID, sync_id: UUID) -> Sync | None:
    """Find a sync of a user."""
    return await fetch_one(
        connection,
        Sync,
        SHOWN + " where id = %(id)s and user_id = %(user_id)s",
        id=sync_id,
        user_id=user_id,
    )


class _Stood(Sync, frozen=True, kw_only=True):
    """A sync with whether its account was deleted, and the pause that holds."""

    deleted: bool
    pause: Pause | None


async def find_with_stand(connection: Connection, user_id: UUID, sync_id: UUID) -> tuple[Sync, Stand] | None:
    """Find a sync of a user and the state of its account with one statement."""
    found = await fetch_one(
        connection,
        _Stood,
        """select syncs.*, exists (select from unproven_syncs where sync_id = syncs.id) as rights_unproven,
               (select retry_at from sync_retries where sync_id = syncs.id) as retry_at,
               accounts.deleted_at is not null as deleted, case when exists (
                   select from scheduled_syncs where sync_id = syncs.id) then 'schedule' else 'person' end
                   as cause, case when accounts.deleted_at is null then """  # noqa: S608 - constants
        + PAUSE_JSON
        + " end as pause from syncs join accounts on accounts.id = syncs.account_id "
        + OF_ACCOUNTS
        + " where syncs.id = %(id)s and syncs.user_id = %(user_id)s",
        id=sync_id,
        user_id=user_id,
    )
    return None if found is None else (found, Stand(found.pause, found.deleted))


async def list_syncs(
    connection: Connection, account_id: UUID, before: UUID | None, limit: int, cause: Cause | None = None
) -> list[Sync]:
    """List an account's syncs, newest first, older than the cursor; with `cause`, only those."""
    return await fetch_all(
        connection,
        Sync,
        SHOWN  # noqa: S608 - constants
        + """ where account_id = %(account_id)s
           and (%(before)s::uuid is null or number < (select number from syncs where id = %(before)s
                                                       and account_id = %(account_id)s))
             and (%(scheduled)s::boolean is null or %(scheduled)s = exists (
                  select from scheduled_syncs where sync_id = syncs.id))
           order by number desc limit %(limit)s""",
        account_id=account_id,
        before=before,
        limit=limit,
        scheduled=None if cause is None else cause is Cause.SCHEDULE,
    )


async def ended(connection: Connection, sync_ids: list[UUID]) -> set[UUID]:
    """Return which of the syncs have a terminal state."""
    rows = await connection.execute(
        "select id from syncs where id = any(%s) and status <> 'queued'", [sync_ids]
    )
    return {row[0] for row in await rows.fetchall()}


async def find_unknown(connection: Connection, exchanges: list[str]) -> list[str]:
    """Return the exchanges of open syncs that are not among these."""
    rows = await connection.execute(
        "select distinct exchange from syncs where status = 'queued' and exchange <> all(%s) limit 10",
        [exchanges],
    )
    return [row[0] for row in await rows.fetchall()]


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

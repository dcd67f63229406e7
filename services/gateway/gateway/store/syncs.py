"""Syncs and their batches."""

from collections.abc import Mapping
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from contracts.faults import CodeText, EndpointName, ExchangeCode
from contracts.syncs import Status, TotalCheck, Verdict
from contracts.values import AmountText
from gateway.store.accounts import Account
from gateway.store.pool import Connection, execute, fetch_all, fetch_one


class WalletVerdict(msgspec.Struct, frozen=True):
    """The verdict of one wallet in a sync, with its details."""

    wallet: str
    verdict: Verdict
    as_of: datetime | None = None
    total_check: TotalCheck | None = None
    error_code: CodeText | None = None
    error: str | None = None
    unreadable_rows: int = 0
    unreadable: tuple[str, ...] = ()
    difference_usd: AmountText | None = None
    reported_at: datetime | None = None
    exchange_code: ExchangeCode | None = None
    endpoint: EndpointName | None = None


class Sync(msgspec.Struct, frozen=True):
    """A sync as stored; `wallets` is empty until the sync ends.

    `rights_unproven` is true if it read wallets but not the rights of the key.
    """

    id: UUID
    number: int
    user_id: UUID
    account_id: UUID
    exchange: str
    status: Status
    requested_at: datetime
    deadline: datetime
    publications: int
    finished_at: datetime | None
    holdings_count: int | None
    error_code: CodeText | None
    error: str | None
    wallets: tuple[WalletVerdict, ...]
    rights_unproven: bool = False


# The columns of a Sync; a separate table holds whether its rights are unproven.
_SHOWN: LiteralString = """select syncs.*,
    exists (select from unproven_syncs where sync_id = syncs.id) as rights_unproven from syncs"""


class Ending(msgspec.Struct, frozen=True):
    """The fields that a terminal state adds to a sync."""

    status: Status
    holdings_count: int | None
    error_code: CodeText | None
    error: str | None
    wallets: tuple[WalletVerdict, ...]


class Held(msgspec.Struct, frozen=True):
    """The requests waiting in the stream: sequences after `above`, up to `up_to`, published since `since`."""

    above: int
    up_to: int
    since: datetime


class Overdue(msgspec.Struct, frozen=True):
    """The data to settle a sync; `times` counts the settlements, including this one.

    `credential_id` is None if the account was deleted.
    """

    id: UUID
    account_id: UUID
    exchange: str
    publications: int
    deadline: datetime
    credential_id: UUID | None
    times: int


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


class Queued(msgspec.Struct, frozen=True):
    """An open sync of any user; `now` is the database's time.

    `deleted` and `credential_id` are those of its account; a deleted account has no credential.
    """

    id: UUID
    number: int
    account_id: UUID
    exchange: str
    requested_at: datetime
    now: datetime
    deleted: bool
    user_id: UUID | None = None
    credential_id: UUID | None = None


_QUEUED: LiteralString = """
    select syncs.id, syncs.number, syncs.account_id, syncs.exchange, syncs.requested_at,
        clock_timestamp() as now, accounts.deleted_at is not null as deleted,
        accounts.user_id, accounts.credential_id
    from accounts join syncs on syncs.account_id = accounts.id
    where syncs.id = any(%(ids)s) and syncs.status = 'queued' order by accounts.id"""


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


async def find_sync(connection: Connection, user_id: UUID, sync_id: UUID) -> Sync | None:
    """Find a sync of a user."""
    return await fetch_one(
        connection,
        Sync,
        _SHOWN + " where id = %(id)s and user_id = %(user_id)s",
        id=sync_id,
        user_id=user_id,
    )


async def list_syncs(connection: Connection, account_id: UUID, before: UUID | None, limit: int) -> list[Sync]:
    """List an account's syncs, newest first, older than the cursor."""
    return await fetch_all(
        connection,
        Sync,
        _SHOWN  # noqa: S608 - constants
        + """ where account_id = %(account_id)s
           and (%(before)s::uuid is null or number < (select number from syncs where id = %(before)s
                                                       and account_id = %(account_id)s))
           order by number desc limit %(limit)s""",
        account_id=account_id,
        before=before,
        limit=limit,
    )


async def end_syncs(connection: Connection, endings: Mapping[UUID, Ending]) -> list[Sync]:
    """Give queued syncs their terminal states; syncs that already have one keep it and are left out."""
    ended = list(endings.values())
    return await fetch_all(
        connection,
        Sync,
        """update syncs set status = said.status, finished_at = now(), holdings_count = said.holdings_count,
                  error_code = said.error_code, error = said.error, wallets = said.wallets
           from unnest(%(ids)s::uuid[], %(statuses)s::text[], %(counts)s::integer[], %(codes)s::text[],
                       %(errors)s::text[], %(wallets)s::jsonb[])
               as said (id, status, holdings_count, error_code, error, wallets)
           where syncs.id = said.id and syncs.status = 'queued' returning syncs.*""",
        ids=list(endings),
        statuses=[each.status for each in ended],
        counts=[each.holdings_count for each in ended],
        codes=[each.error_code for each in ended],
        errors=[each.error for each in ended],
        wallets=[Jsonb(msgspec.to_builtins(each.wallets)) for each in ended],
    )


async def insert_unproven(connection: Connection, sync_ids: list[UUID]) -> None:
    """Record the syncs that read wallets without the rights of the key."""
    await execute(
        connection,
        """insert into unproven_syncs (sync_id) select unnest(%(ids)s::uuid[]) on conflict do nothing""",
        ids=sync_ids,
    )


async def ended(connection: Connection, sync_ids: list[UUID]) -> set[UUID]:
    """Return which of the syncs have a terminal state."""
    rows = await connection.execute(
        "select id from syncs where id = any(%s) and status <> 'queued'", [sync_ids]
    )
    return {row[0] for row in await rows.fetchall()}


async def take_lost(
    connection: Connection, exchange: str, held: Held, silent_since: datetime, limit: int
) -> list[Sync]:
    """Claim open syncs whose request was published before a time and is lost; count a publication.

    A request is lost if it is neither in the outbox nor in the stream. Syncs of paused accounts, which only a
    previous gateway version opens, are left out.
    """
    return await fetch_all(
        connection,
        Sync,
        """update syncs set publications = publications + 1, published_at = now(), request_seq = null
           where id in (
               select id from syncs where status = 'queued' and exchange = %(exchange)s and deadline > now()
                  and published_at < %(silent_since)s
                  and not exists (select from account_pauses join accounts on accounts.id = syncs.account_id
                                      and accounts.credential_id = account_pauses.credential_id
                                  where account_pauses.account_id = syncs.account_id)
                  and (request_seq is null or request_seq <= %(above)s or request_seq > %(up_to)s
                       or published_at < %(since)s)
                  and not exists (select from outbox
                                  where message_id = syncs.id::text || ':' || syncs.publications::text)
               order by published_at limit %(limit)s for update skip locked)
           returning *""",
        **msgspec.structs.asdict(held),
        exchange=exchange,
        silent_since=silent_since,
        limit=limit,
    )


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


async def find_unknown(connection: Connection, exchanges: list[str]) -> list[str]:
    """Return the exchanges of open syncs that are not among these."""
    rows = await connection.execute(
        "select distinct exchange from syncs where status = 'queued' and exchange <> all(%s) limit 10",
        [exchanges],
    )
    return [row[0] for row in await rows.fetchall()]


async def delete_requests_of_ended(connection: Connection, limit: int) -> int:
    """Delete requests in the outbox whose syncs have ended; returns how many."""
    return await execute(
        connection,
        """delete from outbox where id in (
               select outbox.id from outbox join syncs on syncs.id = outbox.sync_id
               where syncs.status <> 'queued' limit %(limit)s for update of outbox skip locked)""",
        limit=limit,
    )


class Publication(msgspec.Struct, frozen=True):
    """One publication of a sync's request; `number` counts from 1."""

    sync_id: UUID
    number: int


async def set_request_seqs(connection: Connection, places: Mapping[Publication, int]) -> None:
    """Store the stream sequence of the last request of each sync, as published now.

    The sequences of earlier publications are ignored.
    """
    await execute(
        connection,
        """with held as materialized (
               select syncs.id, place.seq
               from unnest(%(ids)s::uuid[], %(numbers)s::integer[], %(seqs)s::bigint[])
                   as place (id, number, seq)
               join syncs on syncs.id = place.id and syncs.publications = place.number
               order by syncs.id for update of syncs)
           update syncs set request_seq = held.seq, published_at = clock_timestamp()
           from held where syncs.id = held.id""",
        ids=[publication.sync_id for publication in places],
        numbers=[publication.number for publication in places],
        seqs=list(places.values()),
    )


async def find_by_request_seq(connection: Connection, request_seq: int) -> Sync | None:
    """Find the open sync whose last request has a sequence in the stream."""
    return await fetch_one(
        connection,
        Sync,
        "select * from syncs where request_seq = %(seq)s and status = 'queued'",
        seq=request_seq,
    )


async def insert_batch(connection: Connection, batch_id: UUID, user_id: UUID, sync_ids: list[UUID]) -> None:
    """Insert a batch of new and joined syncs."""
    await execute(
        connection,
        "insert into sync_batches (id, user_id) values (%(id)s, %(user_id)s)",
        id=batch_id,
        user_id=user_id,
    )
    await execute(
        connection,
        "insert into sync_batch_members (batch_id, sync_id) select %(id)s, unnest(%(sync_ids)s::uuid[])",
        id=batch_id,
        sync_ids=sync_ids,
    )


async def find_batch(connection: Connection, user_id: UUID, batch_id: UUID) -> list[Sync] | None:
    """Return the syncs of a user's batch, oldest first; None if the batch does not exist."""
    found = await connection.execute(
        "select 1 from sync_batches where id = %s and user_id = %s", [batch_id, user_id]
    )
    if await found.fetchone() is None:
        return None
    return await fetch_all(
        connection,
        Sync,
        _SHOWN
        + """ join sync_batch_members member on member.sync_id = syncs.id
           where member.batch_id = %(id)s order by syncs.account_id""",
        id=batch_id,
    )

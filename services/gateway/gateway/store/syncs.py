"""Syncs, their batches and their idempotency keys."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from contracts.faults import CodeText, EndpointName, ExchangeCode
from contracts.syncs import Status, TotalCheck, Verdict
from gateway.store.accounts import Account
from gateway.store.pool import Connection, execute, fetch_all, fetch_one


class WalletVerdict(msgspec.Struct, frozen=True):
    """How one wallet was read by a sync."""

    wallet: str
    verdict: Verdict
    as_of: datetime | None = None
    total_check: TotalCheck | None = None
    error_code: CodeText | None = None
    error: str | None = None
    unreadable_rows: int = 0
    unreadable: tuple[str, ...] = ()
    difference_usd: str | None = None
    reported_at: datetime | None = None
    exchange_code: ExchangeCode | None = None
    endpoint: EndpointName | None = None


class Sync(msgspec.Struct, frozen=True):
    """A sync as stored; `wallets` is empty until it ended."""

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


class Ending(msgspec.Struct, frozen=True):
    """What a terminal state adds to a sync."""

    status: Status
    holdings_count: int | None
    error_code: CodeText | None
    error: str | None
    wallets: tuple[WalletVerdict, ...]


class IdempotencyKey(msgspec.Struct, frozen=True):
    """What a key was first used for: `target_id` is the sync or the batch."""

    fingerprint: str
    target_id: UUID


async def open_sync(connection: Connection, sync_id: UUID, account: Account, deadline: datetime) -> Sync:
    """Open a sync under this id, or give the one that the account has open already."""
    (sync,) = await fetch_all(
        connection,
        Sync,
        """insert into syncs (id, user_id, account_id, exchange, deadline)
           values (%(id)s, %(user_id)s, %(account_id)s, %(exchange)s, %(deadline)s)
           on conflict (account_id) where status = 'queued' do update set deadline = syncs.deadline
           returning *""",
        id=sync_id,
        user_id=account.user_id,
        account_id=account.id,
        exchange=account.exchange,
        deadline=deadline,
    )
    return sync


async def find(connection: Connection, sync_id: UUID) -> Sync | None:
    """Find a sync, whoever owns it, without a lock."""
    return await fetch_one(connection, Sync, "select * from syncs where id = %(id)s", id=sync_id)


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
        "select * from syncs where id = %(id)s and user_id = %(user_id)s",
        id=sync_id,
        user_id=user_id,
    )


async def list_syncs(connection: Connection, account_id: UUID, before: UUID | None, limit: int) -> list[Sync]:
    """List an account's syncs, newest first, from the one before the cursor."""
    return await fetch_all(
        connection,
        Sync,
        """select * from syncs where account_id = %(account_id)s
           and (%(before)s::uuid is null or number < (select number from syncs where id = %(before)s
                                                       and account_id = %(account_id)s))
           order by number desc limit %(limit)s""",
        account_id=account_id,
        before=before,
        limit=limit,
    )


async def end_sync(connection: Connection, sync_id: UUID, ending: Ending) -> Sync | None:
    """Give a queued sync its terminal state; None when it has one already, which stays."""
    return await fetch_one(
        connection,
        Sync,
        """update syncs set status = %(status)s, finished_at = now(), holdings_count = %(holdings_count)s,
                  error_code = %(error_code)s, error = %(error)s, wallets = %(wallets)s
           where id = %(id)s and status = 'queued' returning *""",
        **{**msgspec.structs.asdict(ending), "wallets": Jsonb(msgspec.to_builtins(ending.wallets))},
        id=sync_id,
    )


async def ended(connection: Connection, sync_ids: list[UUID]) -> set[UUID]:
    """Tell which of the syncs have a terminal state."""
    rows = await connection.execute(
        "select id from syncs where id = any(%s) and status <> 'queued'", [sync_ids]
    )
    return {row[0] for row in await rows.fetchall()}


async def take_silent(connection: Connection, after_seconds: float, limit: int) -> list[Sync]:
    """Choose open syncs that nothing was heard of since they were last published, and count a publication."""
    return await fetch_all(
        connection,
        Sync,
        """update syncs set publications = publications + 1, published_at = now() where id in (
               select id from syncs where status = 'queued' and deadline > now()
                  and published_at < now() - make_interval(secs => %(after)s)
               order by published_at limit %(limit)s for update skip locked)
           returning *""",
        after=after_seconds,
        limit=limit,
    )


async def take_overdue(connection: Connection, grace_seconds: float, limit: int) -> list[Sync]:
    """Choose open syncs whose deadline is over."""
    return await fetch_all(
        connection,
        Sync,
        """select * from syncs where status = 'queued' and deadline < now() - make_interval(secs => %(grace)s)
           order by deadline limit %(limit)s for update skip locked""",
        grace=grace_seconds,
        limit=limit,
    )


async def set_request_seq(connection: Connection, sync_id: UUID, request_seq: int) -> None:
    """Remember where in the stream the last request of a sync stands, so that an advisory can name it."""
    await execute(
        connection, "update syncs set request_seq = %(seq)s where id = %(id)s", seq=request_seq, id=sync_id
    )


async def find_by_request_seq(connection: Connection, request_seq: int) -> Sync | None:
    """Find the open sync whose last request stands at a place in the stream."""
    return await fetch_one(
        connection,
        Sync,
        "select * from syncs where request_seq = %(seq)s and status = 'queued'",
        seq=request_seq,
    )


async def insert_batch(connection: Connection, batch_id: UUID, user_id: UUID, sync_ids: list[UUID]) -> None:
    """Put syncs, new and joined, together as one batch."""
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
    """Give the syncs of a user's batch, oldest first; None when there is no such batch."""
    found = await connection.execute(
        "select 1 from sync_batches where id = %s and user_id = %s", [batch_id, user_id]
    )
    if await found.fetchone() is None:
        return None
    return await fetch_all(
        connection,
        Sync,
        """select syncs.* from syncs join sync_batch_members member on member.sync_id = syncs.id
           where member.batch_id = %(id)s order by syncs.account_id""",
        id=batch_id,
    )


async def claim_idempotency_key(
    connection: Connection, user_id: UUID, key: str, fingerprint: str, target_id: UUID
) -> IdempotencyKey | None:
    """Take a key for a target; gives what it was first used for when it is taken.

    A second request with the key waits here until the first one's transaction is over.
    """
    claimed: dict[str, Any] = {
        "user_id": user_id,
        "key": key,
        "fingerprint": fingerprint,
        "target_id": target_id,
    }
    inserted = await execute(
        connection,
        """insert into idempotency_keys (user_id, key, fingerprint, target_id)
           values (%(user_id)s, %(key)s, %(fingerprint)s, %(target_id)s) on conflict do nothing""",
        **claimed,
    )
    if inserted:
        return None
    return await fetch_one(
        connection,
        IdempotencyKey,
        "select fingerprint, target_id from idempotency_keys where user_id = %(user_id)s and key = %(key)s",
        user_id=user_id,
        key=key,
    )


async def point_idempotency_key(connection: Connection, user_id: UUID, key: str, target_id: UUID) -> None:
    """Point a key at the open sync that was joined instead of a new one."""
    await execute(
        connection,
        "update idempotency_keys set target_id = %(target_id)s where user_id = %(user_id)s and key = %(key)s",
        target_id=target_id,
        user_id=user_id,
        key=key,
    )


async def delete_old_idempotency_keys(connection: Connection) -> None:
    """Forget keys after 24 hours."""
    await execute(connection, "delete from idempotency_keys where created_at < now() - interval '24 hours'")

"""The two statements by which a transaction records outcomes: one reads the accounts, one writes."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from contracts.syncs import Status
from gateway.rows.balances import Place, Stored, StoredBalance, StoredWallet
from gateway.rows.drift import Drift, StoredPositions
from gateway.rows.pauses import Key
from gateway.rows.schedules import Move, Pace
from gateway.rows.snapshots import Open
from gateway.rows.syncs import WalletVerdict
from gateway.rows.uncovered import StoredPart
from gateway.store import outbox
from gateway.store.audit import Action
from gateway.store.balances import BALANCES_JSON, WALLETS_JSON
from gateway.store.drift import KEEP_DRIFT, KEEP_POSITIONS
from gateway.store.pool import Connection, fetch_all
from gateway.store.snapshots import OPEN_JSON
from gateway.store.uncovered import KEEP_UNCOVERED


class Known(msgspec.Struct, frozen=True):
    """The key and the pace of an account, its snapshot, and its stored wallets and balances as JSON.

    A sub-account without a key of its own has its parent's key. A deleted account has no key,
    no pace and no snapshot.
    """

    account_id: UUID
    key: Key | None
    pace: Pace | None
    wallets: msgspec.Raw
    balances: msgspec.Raw
    open: Open | None = None


class Ended(msgspec.Struct, frozen=True):
    """An ended sync with its public event and its audit.

    `account_id` is None for a deleted account, which keeps no times.
    """

    id: UUID
    user_id: UUID
    account_id: UUID | None
    status: Status
    finished_at: datetime
    holdings_count: int | None
    error_code: str | None
    error: str | None
    wallets: tuple[WalletVerdict, ...]
    rights_unproven: bool
    retry_at: datetime | None
    completed_as_of: datetime | None
    message_id: str
    subject: str
    stream: str
    headers: dict[str, str]
    body: str
    traceparent: str | None
    audit: dict[str, Any]
    drift: tuple[Drift, ...] = ()
    positions: tuple[StoredPositions, ...] = ()
    uncovered: tuple[StoredPart, ...] = ()


class PlacedWallet(msgspec.Struct, frozen=True):
    """A wallet to write."""

    account_id: UUID
    wallet: StoredWallet


class Row(msgspec.Struct, frozen=True):
    """The id of a message in the outbox."""

    id: int
    message_id: str


_FIND: LiteralString = (
    "select json_build_object("  # noqa: S608 - constants
    """
        'account_id', accounts.id,
        'key', case when credentials.id is not null then json_build_object(
            'account_id', owner.id, 'user_id', owner.user_id, 'exchange', owner.exchange,
            'exchange_uid', owner.exchange_uid, 'credential_id', owner.credential_id,
            'since', credentials.created_at, 'reason', account_pauses.reason,
            'rights', account_pauses.rights) end,
        'pace', case when schedule.account_id is not null then json_build_object(
            'account_id', accounts.id, 'interval_seconds', schedule.interval_seconds,
            'failures', schedule.failures, 'stopped', schedule.stopped) end,
        'wallets', """
    + WALLETS_JSON
    + """, 'balances', """
    + BALANCES_JSON
    + """, 'open', """
    + OPEN_JSON
    + """)::text
    from accounts left join sub_accounts on sub_accounts.account_id = accounts.id
    join accounts owner on owner.id = coalesce(sub_accounts.parent_id, accounts.id)
    left join credentials on credentials.id = owner.credential_id
    left join account_pauses on account_pauses.account_id = owner.id
        and account_pauses.credential_id = owner.credential_id
    left join schedule on schedule.account_id = accounts.id
    where accounts.id = any(%(ids)s)"""
)

# PostgreSQL expects a hundred rows of any JSON, for which it would read all open syncs, and all accounts of
# some thousand: the lists of ids, and a condition that no partial index has, lead it to the primary keys.
_END: LiteralString = """
    with said as materialized (
        select * from json_to_recordset(%(ended)s::json) as said (
            id uuid, user_id uuid, account_id uuid, status text, finished_at timestamptz,
            holdings_count integer, error_code text, error text, wallets jsonb, rights_unproven boolean,
            retry_at timestamptz, completed_as_of timestamptz, message_id text, subject text, stream text,
            headers jsonb, body text, traceparent text, audit jsonb, drift json, positions json,
            uncovered json)),
    ended as (
        update syncs set status = said.status, finished_at = said.finished_at,
            holdings_count = said.holdings_count, error_code = said.error_code, error = said.error,
            wallets = said.wallets
        from said where syncs.id = said.id and syncs.id = any(%(ids)s) and syncs.finished_at is null
        returning syncs.id),
    unproven as (
        insert into unproven_syncs (sync_id) select id from said where rights_unproven
        on conflict do nothing),
    retried as (
        insert into sync_retries (sync_id, retry_at) select id, retry_at from said where retry_at is not null
        on conflict do nothing),
    timed as (
        update accounts set last_attempt_at = greatest(last_attempt_at, now()),
            last_error_code = said.error_code,
            last_synced_at = case when said.completed_as_of is null then last_synced_at
                else greatest(last_synced_at, least(now(), said.completed_as_of)) end
        from said where accounts.id = said.account_id and accounts.id = any(%(account_ids)s)),"""

_KEEP: LiteralString = """
    kept as (
        insert into account_wallets (account_id, wallet, as_of, total_check, sync_number, error_code,
                                     error, detail)
        select placed.account_id, stored.wallet, stored.as_of, stored.total_check, stored.sync_number,
               stored.error_code, stored.error, stored.detail
        from json_to_recordset(%(wallets)s::json) as placed (account_id uuid, wallet json)
        cross join lateral json_to_record(placed.wallet) as stored (
            wallet text, as_of timestamptz, total_check text, sync_number bigint, error_code text,
            error text, detail jsonb)
        on conflict (account_id, wallet) do update
        set as_of = excluded.as_of, total_check = excluded.total_check, sync_number = excluded.sync_number,
            error_code = excluded.error_code, error = excluded.error, detail = excluded.detail
        where account_wallets.sync_number < excluded.sync_number),"""

_MOVE: LiteralString = """
    moved as (
        update schedule set failures = move.failures, stopped = move.stopped,
            next_at = case when move.wait is null then null
                when move.sooner then least(next_at, now() + make_interval(secs => move.wait))
                else now() + make_interval(secs => move.wait) end
        from json_to_recordset(%(moves)s::json) as move (
            account_id uuid, failures integer, stopped text, wait float8, sooner boolean)
        where schedule.account_id = move.account_id and schedule.account_id = any(%(account_ids)s)),"""

_AUDIT: LiteralString = """
    audited as (
        insert into audit (user_id, action, subject, detail)
        select user_id, %(action)s, id, audit from said)"""


async def find_known(connection: Connection, account_ids: list[UUID]) -> dict[UUID, Known]:
    """Find the keys, snapshots, stored wallets and stored balances of accounts."""
    rows = await connection.execute(_FIND, {"ids": account_ids})
    found = [msgspec.json.decode(row[0], type=Known) for row in await rows.fetchall()]
    return {known.account_id: known for known in found}


def stored(known: Iterable[Known]) -> Stored:
    """Read the stored wallets and lists of accounts."""
    wallets: dict[Place, StoredWallet] = {}
    lists: defaultdict[Place, list[StoredBalance]] = defaultdict(list)
    for each in known:
        for wallet in msgspec.json.decode(each.wallets, type=list[StoredWallet]):
            wallets[Place(each.account_id, wallet.wallet)] = wallet
        for balance in msgspec.json.decode(each.balances, type=list[StoredBalance]):
            lists[Place(each.account_id, balance.wallet)].append(balance)
    return Stored(wallets, lists)


async def write(
    connection: Connection,
    ended: Sequence[Ended],
    wallets: Mapping[Place, StoredWallet],
    lease: float = 0.0,
    moves: Sequence[Move] = (),
) -> dict[str, int]:
    """End locked, queued syncs, store their wallets, events and audit, and move the schedules of accounts.

    Returns the events' rows.

    The times of accounts never move back and are never in the future, whatever a worker's clock reports.
    Rows of wallets that a later sync has written stay. The outbox has the events as claimed for a lease of
    some seconds; 0 leaves them to any relay.
    """
    placed = [PlacedWallet(place.account_id, wallet) for place, wallet in wallets.items()]
    columns, values = outbox.leased(lease)
    drift = KEEP_DRIFT if placed and any(sync.drift for sync in ended) else ""
    positions = KEEP_POSITIONS if placed and any(sync.positions for sync in ended) else ""
    uncovered = KEEP_UNCOVERED if any(sync.uncovered for sync in ended) else ""
    rows = await fetch_all(
        connection,
        Row,
        f"""{_END}{_KEEP if placed else ""}{drift}{positions}{uncovered}{_MOVE if moves else ""}{_AUDIT}
            insert into outbox (message_id, subject, stream, headers, body, traceparent{columns})
            select message_id, subject, stream, headers, convert_to(body, 'UTF8'), traceparent{values}
            from said on conflict (message_id) do nothing returning id, message_id""",  # noqa: S608 - constants
        ended=msgspec.json.encode(ended).decode(),
        ids=[sync.id for sync in ended],
        account_ids=[sync.account_id for sync in ended if sync.account_id],
        wallets=msgspec.json.encode(placed).decode(),
        moves=msgspec.json.encode(moves).decode(),
        action=Action.SYNC_RECORDED,
        lease=lease,
    )
    return {row.message_id: row.id for row in rows}

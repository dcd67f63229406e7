"""Recording outcomes: the only module that ends syncs, many of them in one transaction."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import structlog

from chassis import tracing
from contracts.exchanges import EXCHANGES
from contracts.faults import Code, fault_of
from contracts.syncs import READ, SyncFailed, SyncOutcome, WalletRead
from contracts.wire.envelope import Malformed
from contracts.wire.grants import Grant
from gateway.accounts.pause import find_refused
from gateway.accounts.rights import Finding
from gateway.portfolio.verdicts import completed_as_of, ending, read_before, reads_failed, wallet_reads
from gateway.rows.balances import Stored
from gateway.rows.pauses import Pause
from gateway.rows.syncs import Queued, Sync
from gateway.store import balances, credentials, pauses, recording, syncs
from gateway.store.pool import Connection, DatabaseUnavailable, Pool
from gateway.store.recording import Ended
from gateway.syncs.bounds import is_in_life
from gateway.syncs.keep import keep
from gateway.syncs.messages import account_synced

LOSS_PATIENCE = timedelta(minutes=5)
TOGETHER = 50
AT_ONCE = 4
ALONE_AT_ONCE = 8

log = structlog.get_logger()


class Understood(msgspec.Struct, frozen=True):
    """An outcome with the reads of each known wallet, and its grant and span if it has them."""

    outcome: SyncOutcome
    reads: tuple[WalletRead, ...]
    grant: Grant | None = None
    traceparent: str | None = None


class Recorded(msgspec.Struct, frozen=True):
    """A sync that got its terminal state; None if it already had one, which stays."""

    sync: Sync | None


class Recorder:
    """Records outcomes, batching those that wait at the same time.

    An outcome that can not be recorded in a batch, because one of its rows is locked or it is faulty, is
    recorded alone and does not delay the others.
    """

    def __init__(self, pool: Pool, patience: timedelta = LOSS_PATIENCE) -> None:
        self._pool = pool
        self._patience = patience
        self._waiting: list[tuple[Understood, asyncio.Future[Recorded | None]]] = []
        self._flushing: set[asyncio.Task[None]] = set()
        self._alone = asyncio.Semaphore(ALONE_AT_ONCE)

    async def record(self, outcome: SyncOutcome, grant: Grant | None = None) -> Sync | None:
        """Record an outcome with a verified grant; returns None if its sync already has a terminal state.

        Raises Malformed for an outcome that is unreadable or not that of its sync; NotStorable,
        DatabaseUnavailable.
        """
        understood = Understood(outcome, wallet_reads(outcome), grant, tracing.traceparent())
        answer: asyncio.Future[Recorded | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((understood, answer))
        if len(self._flushing) < AT_ONCE:
            flush = asyncio.create_task(self._flush(), context=tracing.outside())
            self._flushing.add(flush)
            flush.add_done_callback(self._flushing.discard)
        recorded = await answer
        if recorded is not None:
            return recorded.sync
        async with self._alone, self._pool.transaction() as connection:
            return await record(connection, outcome, self._patience, grant)

    async def _flush(self) -> None:
        """Record waiting outcomes in batches until none waits; those not recorded get None."""
        while self._waiting:
            together, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
            recorded: dict[UUID, Recorded] = {}
            try:
                async with self._pool.transaction() as connection:
                    recorded = await record_all(
                        connection, [understood for understood, _ in together], self._patience, wait=False
                    )
            except DatabaseUnavailable as error:
                _fail(together, error)
                continue
            except Exception:  # noqa: BLE001 - one outcome caused it, and raises it again alone
                recorded = {}
            for understood, answer in together:
                if not answer.done():
                    answer.set_result(recorded.pop(understood.outcome.sync_id, None))


def _fail(
    together: Sequence[tuple[Understood, asyncio.Future[Recorded | None]]], error: DatabaseUnavailable
) -> None:
    for _, answer in together:
        if not answer.done():
            answer.set_exception(DatabaseUnavailable(str(error)))


async def record(
    connection: Connection,
    outcome: SyncOutcome,
    patience: timedelta = LOSS_PATIENCE,
    grant: Grant | None = None,
) -> Sync | None:
    """Record one outcome with all its effects; returns None if its sync already has a terminal state.

    An asset that is missing without a confirmation for longer than `patience` is gone. Raises Malformed for
    an outcome that is unreadable or not that of its sync.
    """
    understood = Understood(outcome, wallet_reads(outcome), grant, tracing.traceparent())
    recorded = await record_all(connection, [understood], patience, wait=True)
    if outcome.sync_id not in recorded:
        raise Malformed("the outcome names another account, exchange or credential than its sync")
    return recorded[outcome.sync_id].sync


async def record_refused(
    connection: Connection, refused: Sequence[Sync], paused: Mapping[UUID, Pause]
) -> list[Sync]:
    """Fail the open syncs of locked, paused accounts at once, because no reads are signed for them."""
    outcomes = [
        SyncFailed(sync.id, sync.account_id, sync.exchange, pause.reason, fault_of(pause.reason).words)
        for sync, pause in ((sync, paused[sync.account_id]) for sync in refused)
    ]
    understood = [Understood(outcome, wallet_reads(outcome)) for outcome in outcomes]
    recorded = await record_all(connection, understood, LOSS_PATIENCE, wait=True)
    return [each.sync for each in recorded.values() if each.sync is not None]


async def end_unrecorded(pool: Pool, sync_id: UUID, grant: Grant | None = None) -> Sync | None:
    """End a sync as failed because its outcome can not be recorded; returns None if it has already ended.

    Returns None also if the outcome has a grant for a credential that is not the sync's. The wallets become
    stale; if they can not be updated, only the sync ends. Raises DatabaseUnavailable.
    """
    for keeping in (True, False):
        try:
            async with pool.transaction() as connection:
                return await _end_unrecorded(connection, sync_id, grant, keeping=keeping)
        except DatabaseUnavailable:
            raise
        except Exception:
            if not keeping:
                raise
            log.exception("wallets_not_marked", sync_id=sync_id)
    return None


async def _end_unrecorded(
    connection: Connection, sync_id: UUID, grant: Grant | None, *, keeping: bool
) -> Sync | None:
    locked = (await syncs.lock_queued(connection, [sync_id], wait=True)).get(sync_id)
    if locked is None or await _granted_elsewhere(connection, [(grant, locked)]):
        return None
    together = [(_failed(locked, Code.INTERNAL_ERROR), locked)]
    (sync,) = await _end(connection, together, LOSS_PATIENCE, keeping=keeping)
    return sync


async def record_all(
    connection: Connection, outcomes: Sequence[Understood], patience: timedelta, *, wait: bool
) -> dict[UUID, Recorded]:
    """Record outcomes with all their effects; returns the results by sync id.

    Left out are outcomes that do not match the sync they name, second outcomes of a sync, and, without
    `wait`, outcomes with a row locked by another transaction.
    """
    said = {each.outcome.sync_id: each for each in reversed(outcomes)}
    if wait:
        queued = await syncs.find_queued(connection, list(said))
        recorded = {sync_id: Recorded(None) for sync_id in said.keys() - queued.keys()}
    else:  # those not locked may have ended, or not
        queued, recorded = await syncs.lock_queued(connection, list(said), wait=False), {}
    asked = [(said[sync_id].grant, sync) for sync_id, sync in queued.items()]
    foreign = await _granted_elsewhere(connection, asked)
    own = {
        sync_id: sync
        for sync_id, sync in queued.items()
        if sync_id not in foreign and _is_of(said[sync_id].outcome, sync)
    }
    if wait and own:
        own, asked_for = await syncs.lock_queued(connection, list(own), wait=True), own
        recorded |= {sync_id: Recorded(None) for sync_id in asked_for.keys() - own.keys()}
    if own:
        ended = await _end(connection, [(said[sync_id], sync) for sync_id, sync in own.items()], patience)
        recorded |= {sync.id: Recorded(sync) for sync in ended}
    return recorded


def _is_of(outcome: SyncOutcome, sync: Queued) -> bool:
    return (sync.account_id, sync.exchange) == (outcome.account_id, outcome.exchange)


async def _granted_elsewhere(
    connection: Connection, asked: Sequence[tuple[Grant | None, Queued]]
) -> set[UUID]:
    """Return the syncs whose outcome has a grant for another exchange, or for a credential never theirs.

    A credential that was replaced meanwhile belongs to the same user. It may be destroyed, and so unknown, as
    soon as its grant has expired, or at once if its secret was destroyed and a stand-in replaced it.
    """
    granted = {sync.id: (grant, sync) for grant, sync in asked if grant is not None}
    elsewhere = {sync_id for sync_id, (grant, sync) in granted.items() if grant.exchange != sync.exchange}
    others = {
        sync_id: (grant, sync)
        for sync_id, (grant, sync) in granted.items()
        if sync.credential_id not in (None, grant.credential_id)
    }
    if others:
        ids = [grant.credential_id for grant, _ in others.values()]
        owners = await credentials.find_owners(connection, ids)
        paused = await pauses.find(connection, [sync.account_id for _, sync in others.values()])
        elsewhere |= {
            sync_id
            for sync_id, (grant, sync) in others.items()
            if not _was_of(grant, sync, owners, paused.get(sync.account_id))
        }
    return elsewhere


def _was_of(grant: Grant, sync: Queued, owners: Mapping[UUID, UUID], pause: Pause | None) -> bool:
    given_up = pause is not None and pause.destroyed_at is not None
    unknown = sync.user_id if given_up or grant.exp <= sync.now else None
    return owners.get(grant.credential_id, unknown) == sync.user_id


def _failed(sync: Queued, code: Code) -> Understood:
    """Return a failed outcome of a sync with a code of ours."""
    outcome = SyncFailed(sync.id, sync.account_id, sync.exchange, code, fault_of(code).words)
    return Understood(outcome, reads_failed(sync.exchange, code) if sync.exchange in EXCHANGES else ())


def _in_life(understood: Understood, sync: Queued) -> Understood:
    """Return the outcome if it was read in the lifetime of its sync, else a failed one: clocks disagree."""
    if all(is_in_life(read, sync.requested_at, sync.now) for read in understood.reads):
        return understood
    log.error("outcome_outside_life", sync_id=sync.id, requested_at=sync.requested_at, now=sync.now)
    return _failed(sync, Code.CLOCK_DISAGREES)


async def _end(
    connection: Connection,
    together: list[tuple[Understood, Queued]],
    patience: timedelta,
    *,
    keeping: bool = True,
) -> list[Sync]:
    """Give locked syncs their terminal state, and store their wallets.

    A sync whose key must not be used fails, whatever it read.
    """
    traces = {sync.id: understood.traceparent for understood, sync in together}
    known = await recording.find_known(connection, [sync.account_id for _, sync in together])
    judged = [(understood.outcome, sync) for understood, sync in together if not sync.deleted]
    keys = {each.account_id: each.key for each in known.values() if each.key is not None}
    refused = await find_refused(connection, judged, keys)
    together = [(_refused(_in_life(said, sync), refused.get(sync.id)), sync) for said, sync in together]
    reads = {
        sync.id: tuple(read_before(read, sync.now) for read in understood.reads)
        for understood, sync in together
    }
    alive = [(sync, reads[sync.id]) for _, sync in together if keeping and not sync.deleted]
    kept = keep(recording.stored(known.values()) if alive else Stored({}, {}), alive, patience)
    reads |= kept.reads
    ended = {sync.id: _ended(understood, sync, reads[sync.id]) for understood, sync in together}
    rows = [_row(ended[sync.id], sync, reads[sync.id], traces[sync.id]) for _, sync in together]
    await recording.write(connection, rows, kept.wallets)
    if kept.lists:
        await balances.replace_balances(connection, kept.lists)
    return list(ended.values())


def _ended(understood: Understood, sync: Queued, reads: tuple[WalletRead, ...]) -> Sync:
    """Return a sync with its terminal state, whose wallets count as these reads."""
    end = ending(understood.outcome, reads)
    return Sync(
        sync.id,
        sync.number,
        sync.user_id,
        sync.account_id,
        sync.exchange,
        end.status,
        sync.requested_at,
        sync.deadline,
        sync.publications,
        sync.now,
        end.holdings_count,
        end.error_code,
        end.error,
        end.wallets,
        _is_unproven(understood),
    )


def _row(sync: Sync, queued: Queued, reads: tuple[WalletRead, ...], traceparent: str | None) -> Ended:
    """Return an ended sync with its effects, as the database stores them."""
    fact = account_synced(sync, ended_at(sync))
    return Ended(
        sync.id,
        sync.user_id,
        None if queued.deleted else sync.account_id,
        sync.status,
        ended_at(sync),
        sync.holdings_count,
        sync.error_code,
        sync.error,
        sync.wallets,
        sync.rights_unproven,
        completed_as_of(sync.exchange, reads),
        fact.message_id,
        fact.subject,
        fact.stream,
        fact.headers,
        fact.body.decode(),
        traceparent or tracing.traceparent(),
        0.0,
        {"status": str(sync.status), "error_code": sync.error_code},
    )


def _refused(understood: Understood, finding: Finding | None) -> Understood:
    """Return a failed outcome if the key must not be used; then no wallet counts as read."""
    if finding is None:
        return understood
    said = understood.outcome
    outcome = SyncFailed(said.sync_id, said.account_id, said.exchange, finding.code, finding.words)
    return Understood(outcome, reads_failed(said.exchange, finding.code, finding.words))


def _is_unproven(understood: Understood) -> bool:
    return understood.outcome.rights is None and any(read.verdict in READ for read in understood.reads)


def ended_at(sync: Sync) -> datetime:
    """Return the time of a sync's terminal state."""
    assert sync.finished_at is not None  # noqa: S101 - the sync has ended
    return sync.finished_at.astimezone(UTC)

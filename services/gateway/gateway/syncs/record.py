"""Ending syncs with their outcomes, many of them in one transaction: the only module that does."""

from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import structlog

from chassis import tracing
from contracts.exchanges import EXCHANGES
from contracts.faults import Code, fault_of
from contracts.syncs import LEFT_OUT, READ, Cause, KeyFacts, Status, SyncFailed, SyncOutcome, WalletRead
from contracts.wire.envelope import Malformed
from contracts.wire.grants import Grant
from gateway.accounts.pause import find_refused
from gateway.accounts.rights import Finding
from gateway.accounts.sub_accounts import keep_list
from gateway.portfolio.drift import Tolerance, measured, open_positions, with_missing_worth
from gateway.portfolio.uncovered import found_parts
from gateway.portfolio.verdicts import completed_as_of, ending, read_before, reads_failed, wallet_reads
from gateway.prices.readings import Memory
from gateway.rows.balances import Place, Stored, StoredBalance, StoredWallet
from gateway.rows.outbox import Outgoing
from gateway.rows.pauses import Pause
from gateway.rows.schedules import Move
from gateway.rows.syncs import Queued, Sync, storable
from gateway.store import balances, keys, outbox, recording, syncs
from gateway.store.pool import Connection, DatabaseUnavailable, Pool
from gateway.store.recording import Ended, Known
from gateway.syncs.bounds import is_in_life
from gateway.syncs.keep import keep
from gateway.syncs.messages import account_synced
from gateway.syncs.owners import granted_elsewhere
from gateway.syncs.pace import Result, moved
from gateway.syncs.snapshot import snapshot
from gateway.syncs.whose import as_reached, is_proven, wallets_to_read

LOSS_PATIENCE = timedelta(minutes=5)

log = structlog.get_logger()


class Together(msgspec.Struct, frozen=True):
    """How long a missing asset may be unconfirmed, and the lease of events that this relay publishes.

    `tolerance` is the difference to the exchange's total that makes no wallet incomplete. `memory` has the
    readings of prices that this process knows.
    """

    patience: timedelta = LOSS_PATIENCE
    lease: float = 0.0
    tolerance: Tolerance = Tolerance()
    memory: Memory = msgspec.field(default_factory=dict)


class Understood(msgspec.Struct, frozen=True):
    """An outcome with the reads of each known wallet, and its grant and span if it has them."""

    outcome: SyncOutcome
    reads: tuple[WalletRead, ...]
    grant: Grant | None = None
    traceparent: str | None = None


class Recorded(msgspec.Struct, frozen=True):
    """A sync that got its terminal state, with its event and the event's row in the outbox if it has a lease.

    The sync is None if it already had a terminal state, which stays.
    """

    sync: Sync | None
    event: Outgoing | None = None
    row: int = 0


async def record(
    connection: Connection,
    outcome: SyncOutcome,
    how: Together | None = None,
    grant: Grant | None = None,
) -> Sync | None:
    """Record one outcome with all its effects; returns None if its sync already has a terminal state.

    Raises Malformed for an outcome that is unreadable or does not belong to its sync.
    """
    understood = Understood(outcome, wallet_reads(outcome), grant, tracing.traceparent())
    recorded = await record_all(connection, [understood], how or Together(), wait=True)
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
    recorded = await record_all(connection, understood, Together(), wait=True)
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
    if locked is None or await granted_elsewhere(connection, [(grant, locked)]):
        return None
    (recorded,) = await _end(
        connection, [(_failed(locked, Code.INTERNAL_ERROR), locked)], Together(), keeping=keeping
    )
    return recorded.sync


async def record_all(
    connection: Connection, outcomes: Sequence[Understood], how: Together, *, wait: bool
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
    foreign = await granted_elsewhere(connection, asked)
    own = {
        sync_id: sync
        for sync_id, sync in queued.items()
        if sync_id not in foreign and _is_of(said[sync_id].outcome, sync)
    }
    if wait and own:
        own, asked_for = await syncs.lock_queued(connection, list(own), wait=True), own
        recorded |= {sync_id: Recorded(None) for sync_id in asked_for.keys() - own.keys()}
    if own:
        ended = await _end(connection, [(said[sync_id], sync) for sync_id, sync in own.items()], how)
        recorded |= {each.sync.id: each for each in ended if each.sync is not None}
    return recorded


def _is_of(outcome: SyncOutcome, sync: Queued) -> bool:
    return (sync.account_id, sync.exchange) == (outcome.account_id, outcome.exchange)


def _failed(sync: Queued, code: Code) -> Understood:
    """Return a failed outcome of a sync with a code of ours."""
    outcome = SyncFailed(sync.id, sync.account_id, sync.exchange, code, fault_of(code).words)
    return Understood(outcome, reads_failed(sync.exchange, code) if sync.exchange in EXCHANGES else ())


def _of_its_account(understood: Understood, sync: Queued) -> Understood:
    """Return the outcome if it is of the account of its sync, else a failed one."""
    if is_proven(understood.outcome, understood.reads, sync):
        return understood
    log.error("sub_account_unproven", sync_id=sync.id, account_id=sync.account_id)
    return _failed(sync, Code.SUB_ACCOUNT_UNPROVEN)


def _in_life(understood: Understood, sync: Queued) -> Understood:
    """Return the outcome if it was read in the lifetime of its sync, else a failed one: clocks disagree."""
    if all(is_in_life(read, sync.requested_at, sync.now) for read in understood.reads):
        return understood
    log.error("outcome_outside_life", sync_id=sync.id, requested_at=sync.requested_at, now=sync.now)
    return _failed(sync, Code.CLOCK_DISAGREES)


async def _end(
    connection: Connection, together: list[tuple[Understood, Queued]], how: Together, *, keeping: bool = True
) -> list[Recorded]:
    """Give locked syncs their terminal state, and store their wallets.

    A sync whose key must not be used fails, whatever it read. Its event has no lease, because it follows that
    of the pause, which any relay publishes.
    """
    traces = {sync.id: understood.traceparent for understood, sync in together}
    together = [(_of_its_account(said, sync), _as_read(said, sync)) for said, sync in together]
    known = await recording.find_known(connection, [sync.account_id for _, sync in together])
    judged = [(understood.outcome, sync) for understood, sync in together if not sync.deleted]
    live = {each.account_id: each.key for each in known.values() if each.key is not None}
    refused = await find_refused(connection, judged, live)
    together = [(_refused(_in_life(said, sync), refused.get(sync.id)), sync) for said, sync in together]
    reads = {sync.id: _as_compared(understood, sync, how.tolerance) for understood, sync in together}
    alive = [(sync, reads[sync.id]) for _, sync in together if keeping and not sync.deleted]
    stored = recording.stored(known.values()) if alive else Stored({}, {})
    kept = keep(stored, alive, how.patience)
    _report_left_out(reads, kept.reads)
    reads |= kept.reads
    ended = {sync.id: _ended(understood, sync, reads[sync.id]) for understood, sync in together}
    events = {
        sync.id: _of_trace(account_synced(sync, ended_at(sync)), traces[sync.id]) for sync in ended.values()
    }
    found = {sync.id: (said, reads[sync.id], kept.wallets) for said, sync in together}
    rows = await recording.write(
        connection,
        [_row(ended[sync.id], sync, found[sync.id], events[sync.id]) for _, sync in together],
        kept.wallets,
        lease := 0.0 if refused else how.lease,
        _moves(together, ended, known, refused),
    )
    await _keep_lists(connection, together, kept.lists)
    await keys.update(connection, _told_of_keys(together))
    changes = await snapshot(connection, [sync for sync, _ in alive], known, (stored, kept), how.memory)
    if changes:
        await outbox.put_all(connection, [_of_trace(each, traces[sync]) for sync, each in changes.items()])
    return [Recorded(sync, *_handed(events[sync.id], rows if lease else {})) for sync in ended.values()]


async def _keep_lists(
    connection: Connection,
    together: Sequence[tuple[Understood, Queued]],
    changed: Mapping[Place, list[StoredBalance]],
) -> None:
    """Store the lists of wallets that have changed, and the lists of sub-accounts."""
    if changed:
        await balances.replace_balances(connection, changed)
    for understood, sync in together:
        if understood.outcome.sub_accounts is not None and not sync.deleted:
            await keep_list(connection, sync, understood.outcome.sub_accounts)


def _as_read(understood: Understood, sync: Queued) -> Queued:
    """Return a sync with the credential that read it, which its account may have replaced meanwhile."""
    if understood.grant is None or sync.sub_account is not None:  # a sub-account is read with another's key
        return sync
    return msgspec.structs.replace(sync, credential_id=understood.grant.credential_id)


def _told_of_keys(together: Sequence[tuple[Understood, Queued]]) -> dict[UUID, KeyFacts]:
    """Return the facts that exchanges stated about the keys with which syncs read, by credential."""
    told = {}
    for understood, _ in together:
        rights, grant = understood.outcome.rights, understood.grant
        if grant is not None and rights is not None and rights.key != KeyFacts():
            told[grant.credential_id] = rights.key
    return told


def _of_trace(event: Outgoing, traceparent: str | None) -> Outgoing:
    return msgspec.structs.replace(event, traceparent=traceparent)


def _report_left_out(
    told: Mapping[UUID, tuple[WalletRead, ...]], kept: Mapping[UUID, tuple[WalletRead, ...]]
) -> None:
    """Log the wallets that workers left unread without being allowed to."""
    for sync_id, reads in kept.items():
        for said, read in zip(told[sync_id], reads, strict=True):
            if said.verdict in LEFT_OUT and read.verdict not in LEFT_OUT:
                log.error("wallet_left_out", sync_id=sync_id, wallet=read.wallet)


def _moves(
    together: Sequence[tuple[Understood, Queued]],
    ended: Mapping[UUID, Sync],
    known: Mapping[UUID, Known],
    refused: Container[UUID],
) -> list[Move]:
    """Return how the ends of syncs move the schedules of their accounts.

    A sync from before the present key says nothing about it, and a pause answers a refused one.
    """
    moves: list[Move | None] = []
    for _, sync in together:
        end, account = ended[sync.id], known.get(sync.account_id)
        if account is None or account.pace is None:
            continue
        of_key = sync.id not in refused and account.key is not None and sync.requested_at >= account.key.since
        wait = None if end.retry_at is None else (end.retry_at - sync.now).total_seconds()
        result = Result(end.status, end.error_code, sync.cause is Cause.SCHEDULE, of_key, wait)
        moves.append(moved(account.pace, result))
    return [move for move in moves if move is not None]


def _as_compared(understood: Understood, sync: Queued, tolerance: Tolerance) -> tuple[WalletRead, ...]:
    """Return the reads of an outcome, none from the future, compared with the exchange's totals."""
    reads = as_reached(understood.reads, sync)
    return tuple(with_missing_worth(read_before(read, sync.now), tolerance) for read in reads)


def _handed(event: Outgoing, rows: Mapping[str, int]) -> tuple[Outgoing | None, int]:
    row = rows.get(event.message_id)
    return (None, 0) if row is None else (event, row)


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
        sync.cause,
        _retry_at(understood.outcome, end.status, sync.now),
    )


def _row(
    sync: Sync,
    queued: Queued,
    found: tuple[Understood, tuple[WalletRead, ...], Mapping[Place, StoredWallet]],
    fact: Outgoing,
) -> Ended:
    """Return an ended sync with its effects, as the database stores them."""
    understood, reads, wallets = found
    parts, life = understood.outcome.uncovered, (queued.requested_at, queued.now)
    return Ended(
        sync.id,
        sync.user_id,
        None if queued.deleted else sync.account_id,
        sync.status,
        ended_at(sync),
        sync.holdings_count,
        sync.error_code,
        sync.error,
        storable(sync.wallets),
        sync.rights_unproven,
        sync.retry_at,
        completed_as_of(wallets_to_read(queued, wallets), reads),
        fact.message_id,
        fact.subject,
        fact.stream,
        fact.headers,
        fact.body.decode(),
        fact.traceparent or tracing.traceparent(),
        {"status": str(sync.status), "error_code": sync.error_code},
        tuple(filter(None, (measured(read, sync.number, ended_at(sync)) for read in reads))),
        open_positions(reads, sync.number),
        found_parts(EXCHANGES[sync.exchange], parts, sync.number, life) if parts else (),
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


def _retry_at(outcome: SyncOutcome, status: Status, now: datetime) -> datetime | None:
    """Return when the exchange may answer again, for a sync that failed as its outcome says."""
    if not isinstance(outcome, SyncFailed) or status is not Status.FAILED or outcome.retry_after is None:
        return None
    return now + timedelta(seconds=outcome.retry_after)


def ended_at(sync: Sync) -> datetime:
    """Return the time of a sync's terminal state."""
    assert sync.finished_at is not None  # noqa: S101 - the sync has ended
    return sync.finished_at.astimezone(UTC)

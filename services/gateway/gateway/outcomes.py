"""Recording outcomes: the only place where a sync gets its terminal state."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import structlog

from contracts import subjects
from contracts.bus.connect import Bus
from contracts.bus.delivery import Delivery, RetryLater
from contracts.bus.envelope import Malformed, decode
from contracts.faults import Code
from contracts.operations import metrics
from contracts.syncs import Status, SyncOutcome
from gateway.keeping import keep
from gateway.messages import account_synced, failed_outcome
from gateway.relay import Relay
from gateway.store import accounts, audit, outbox, syncs
from gateway.store.audit import Action
from gateway.store.pool import Connection, DatabaseUnavailable, NotStorable, Pool
from gateway.store.syncs import Sync
from gateway.verdicts import completed_as_of, ending, read_before, unknown_wallets, wallet_reads

DATABASE_AWAY_DELAY = 5.0
MAX_NAMED = 16
LOSS_PATIENCE = timedelta(minutes=5)

log = structlog.get_logger()


class MaxDeliveries(msgspec.Struct, frozen=True):
    """The part of a max-deliver or terminated advisory that names a message."""

    stream: str
    stream_seq: int


class Outcomes:
    """Handles outcomes and the server's advisories about requests that it gave up."""

    def __init__(self, pool: Pool, bus: Bus, relay: Relay, patience: timedelta = LOSS_PATIENCE) -> None:
        self._pool = pool
        self._patience = patience
        self._bus = bus
        self._relay = relay

    async def on_sync_outcome(self, delivery: Delivery) -> None:
        """Record an outcome, then wake those who wait; one that came too late changes nothing."""
        outcome: SyncOutcome = decode(delivery.body, SyncOutcome)
        try:
            async with self._pool.transaction() as connection:
                sync = await record(connection, outcome, self._patience)
        except DatabaseUnavailable as error:
            raise RetryLater(DATABASE_AWAY_DELAY, str(error)) from None
        except NotStorable as error:
            raise Malformed(f"the outcome can not be stored: {error}") from None
        if sync is None:
            log.info("outcome_ignored", sync_id=outcome.sync_id)
            return
        self._relay.wake()
        await self._bus.announce(subjects.recorded(sync.id))
        _report(sync, unknown_wallets(outcome))

    async def on_buried(self, delivery: Delivery) -> None:
        """Settle the sync of an outcome that becomes a dead letter, as far as it says whose it is."""
        sync_id = _claimed_sync(delivery)
        if sync_id is None:
            return
        try:
            async with self._pool.transaction() as connection:
                sync = await syncs.find(connection, sync_id)
                if sync is not None and sync.status is Status.QUEUED:
                    await outbox.put(connection, failed_outcome(sync, Code.INTERNAL_ERROR))
        except DatabaseUnavailable as error:
            raise RetryLater(DATABASE_AWAY_DELAY, str(error)) from None
        self._relay.wake()

    async def on_advisory(self, delivery: Delivery) -> None:
        """Settle the sync whose request the server does not deliver any more."""
        try:
            advisory: MaxDeliveries = decode(delivery.body, MaxDeliveries)
        except Malformed:
            return
        if advisory.stream != "SYNC_REQUESTS":
            return
        try:
            async with self._pool.transaction() as connection:
                sync = await syncs.find_by_request_seq(connection, advisory.stream_seq)
                if sync is not None:
                    await outbox.put(connection, failed_outcome(sync, Code.INTERNAL_ERROR))
        except DatabaseUnavailable as error:
            raise RetryLater(DATABASE_AWAY_DELAY, str(error)) from None
        except NotStorable as error:
            raise Malformed(f"the advisory can not be looked up: {error}") from None
        self._relay.wake()


class _Claim(msgspec.Struct, frozen=True):
    """The sync that an outcome names, read where the rest can not be read."""

    sync_id: UUID


def _claimed_sync(delivery: Delivery) -> UUID | None:
    """Find out which sync a message is of: by its body, or else by its message id."""
    with suppress(Malformed):
        claim: _Claim = decode(delivery.body, _Claim)
        return claim.sync_id
    with suppress(ValueError):
        return UUID(delivery.message_id.partition(":")[0])
    return None


async def record(
    connection: Connection, outcome: SyncOutcome, patience: timedelta = LOSS_PATIENCE
) -> Sync | None:
    """Write an outcome with all that follows from it; None when the sync has a terminal state already.

    An asset that is missing without a confirmation for longer than `patience` is gone. Raises Malformed for
    an outcome that can not be understood, or is not that of its sync.
    """
    reads = wallet_reads(outcome)
    queued = await syncs.find_queued(connection, outcome.sync_id)
    if queued is None:
        return None
    if (queued.account_id, queued.exchange) != (outcome.account_id, outcome.exchange):
        raise Malformed("the outcome names another account or exchange than its sync")
    locked = await syncs.lock_queued(connection, outcome.sync_id)
    if locked is None:  # it ended meanwhile
        return None
    reads = tuple(read_before(read, locked.now) for read in reads)
    if not locked.deleted:
        reads = await keep(connection, locked, reads, patience)
    sync = await syncs.end_sync(connection, locked.id, ending(outcome, reads))
    assert sync is not None  # noqa: S101 - its row is locked
    if not locked.deleted:
        as_of = completed_as_of(sync.exchange, reads)
        await accounts.set_attempt(connection, sync.account_id, sync.error_code, as_of)
    await _publish_recorded(connection, sync)
    return sync


async def _publish_recorded(connection: Connection, sync: Sync) -> None:
    await outbox.put(connection, account_synced(sync, _ended_at(sync)))
    await audit.record(
        connection,
        Action.SYNC_RECORDED,
        user_id=sync.user_id,
        subject=sync.id,
        status=sync.status,
        error_code=sync.error_code,
    )


def _ended_at(sync: Sync) -> datetime:
    assert sync.finished_at is not None  # noqa: S101 - it has its terminal state
    return sync.finished_at.astimezone(UTC)


def _report(sync: Sync, left_out: list[str]) -> None:
    """Log and count a recorded outcome; `left_out` are wallets that this version does not know."""
    if left_out:
        log.warning("wallets_left_out", sync_id=sync.id, exchange=sync.exchange, wallets=left_out[:MAX_NAMED])
    metrics.SYNCS.labels(sync.exchange, sync.status).inc()
    seconds = (_ended_at(sync) - sync.requested_at).total_seconds()
    metrics.SYNC_SECONDS.labels(sync.exchange).observe(seconds)
    log.info(
        "sync_recorded",
        sync_id=sync.id,
        account_id=sync.account_id,
        status=sync.status,
        error_code=sync.error_code,
        exchange_codes={each.wallet: each.exchange_code for each in sync.wallets if each.exchange_code},
        seconds=round(seconds, 3),
    )

"""What the gateway hears of syncs on the bus: their outcomes, and requests that the server gave up."""

from contextlib import suppress
from uuid import UUID

import msgspec
import structlog

from contracts import subjects
from contracts.bus.connect import Bus
from contracts.bus.delivery import Delivery, RetryLater
from contracts.bus.envelope import Malformed, decode
from contracts.faults import Code
from contracts.operations import metrics
from contracts.syncs import SyncOutcome
from gateway.messages import failed_outcome
from gateway.recording import Recorder, end_unrecorded, ended_at
from gateway.relay import Relay
from gateway.store import outbox, syncs
from gateway.store.pool import DatabaseUnavailable, NotStorable, Pool
from gateway.store.syncs import Sync
from gateway.verdicts import unknown_wallets

DATABASE_AWAY_DELAY = 5.0
MAX_NAMED = 16
EARLY_ADVISORIES, EARLY_DELAY = 2, 2.0

log = structlog.get_logger()


class MaxDeliveries(msgspec.Struct, frozen=True):
    """The part of a max-deliver or terminated advisory that names a message."""

    stream: str
    stream_seq: int


class Outcomes:
    """Handles outcomes and the server's advisories about requests that it gave up."""

    def __init__(self, pool: Pool, bus: Bus, relay: Relay, recorder: Recorder) -> None:
        self._pool = pool
        self._recorder = recorder
        self._bus = bus
        self._relay = relay

    async def on_sync_outcome(self, delivery: Delivery) -> None:
        """Record an outcome, then wake those who wait; one that came too late changes nothing."""
        outcome: SyncOutcome = decode(delivery.body, SyncOutcome)
        try:
            sync = await self._recorder.record(outcome)
        except DatabaseUnavailable as error:
            raise RetryLater(DATABASE_AWAY_DELAY, str(error)) from None
        except NotStorable as error:
            raise Malformed(f"the outcome can not be stored: {error}") from None
        if sync is None:
            log.info("outcome_ignored", sync_id=outcome.sync_id)
            return
        await self._announce(sync, unknown_wallets(outcome))

    async def _announce(self, sync: Sync, left_out: list[str]) -> None:
        """Wake those who wait for a sync, and say that it ended."""
        self._relay.wake()
        await self._bus.announce(subjects.recorded(sync.id))
        _report(sync, left_out)

    async def on_buried(self, delivery: Delivery) -> None:
        """End the sync of an outcome that becomes a dead letter, as far as it says whose it is.

        Not by another outcome: what keeps the one from being recorded may keep that, too.
        """
        sync_id = _claimed_sync(delivery)
        if sync_id is None:
            return
        try:
            sync = await end_unrecorded(self._pool, sync_id)
        except DatabaseUnavailable as error:
            raise RetryLater(DATABASE_AWAY_DELAY, str(error)) from None
        if sync is not None:
            await self._announce(sync, [])

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
        if sync is None and delivery.attempt <= EARLY_ADVISORIES:
            raise RetryLater(EARLY_DELAY, "the relay may not have written down the place of the request yet")
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


def _report(sync: Sync, left_out: list[str]) -> None:
    """Log and count a recorded outcome; `left_out` are wallets that this version does not know."""
    if left_out:
        log.warning("wallets_left_out", sync_id=sync.id, exchange=sync.exchange, wallets=left_out[:MAX_NAMED])
    metrics.SYNCS.labels(sync.exchange, sync.status).inc()
    seconds = (ended_at(sync) - sync.requested_at).total_seconds()
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

"""Announcing the end of a sync to waiting requests, brokers and operators."""

from collections.abc import Sequence
from uuid import UUID

import structlog

from chassis import metrics
from chassis.bus.connection import Bus
from contracts import subjects
from contracts.faults import FAULTS, Code, fault_of
from gateway.rows.syncs import Sync
from gateway.syncs.record import ended_at
from gateway.syncs.waiters import Waiters

MAX_NAMED = 16

log = structlog.get_logger()


class Announcer:
    """Announces committed ends of syncs; brokers then refuse to sign for these syncs."""

    def __init__(self, bus: Bus, waiters: Waiters) -> None:
        self._bus = bus
        self._waiters = waiters

    async def ended(self, sync: Sync, left_out: Sequence[str] = ()) -> None:
        """Announce, log and count the end of a sync; `left_out` are wallets unknown to this version."""
        self._waiters.wake(sync.id, sync)
        await self._bus.announce(subjects.recorded(sync.id))
        _report(sync, left_out)

    async def ended_before(self, sync_id: UUID) -> None:
        """Announce an end again, because the gateway that recorded it may have died before announcing it."""
        await self._bus.announce(subjects.recorded(sync_id))


def _report(sync: Sync, left_out: Sequence[str]) -> None:
    if left_out:
        log.warning("wallets_left_out", sync_id=sync.id, exchange=sync.exchange, wallets=left_out[:MAX_NAMED])
    metrics.SYNCS.labels(sync.exchange, sync.status).inc()
    if sync.error_code is not None:
        # A code of a later version is not a label, because nothing bounds the number of such codes.
        code = sync.error_code if sync.error_code in FAULTS else Code.INTERNAL_ERROR
        metrics.SYNC_FAULTS.labels(sync.exchange, code, fault_of(code).actor).inc()
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

"""Syncs and batches of syncs in API responses; times are UTC."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from contracts.exchanges import EXCHANGES
from contracts.faults import CodeText
from contracts.remedies import Situation
from contracts.syncs import Cause, Status
from gateway.accounts.paused import next_action
from gateway.advice import Advice
from gateway.rows.pauses import Stand
from gateway.rows.restores import Restore
from gateway.rows.syncs import Sync, WalletVerdict
from gateway.syncs.waiting import ExchangeWaits, Wait

PARTIAL_WORDS = "We could not read or confirm some wallets whole; each says what is older or missing."


class WaitView(msgspec.Struct, frozen=True):
    """Why a sync waits for the exchange, and until when; then the worker tries again."""

    error_code: CodeText
    until: datetime


class SyncView(msgspec.Struct, frozen=True):
    """A sync and its outcome; `success` is null while the sync is queued and true only if it is complete.

    `rights_unproven` is true if wallets were read but the rights of the key could not be read. `restored_at`
    is when the database was restored from a backup in which the sync was open: another outcome may be lost.
    `cached` is true in the response to a request that a sync of a moment before answers without a new one.
    `waiting_for_exchange` is set while the exchange lets a queued sync wait. `retry_at` is when the exchange
    may answer again, if it said so.
    """

    account_id: UUID
    sync_id: UUID
    status: Status
    success: bool | None
    holdings_count: int | None
    error: str | None
    error_code: CodeText | None
    next_action: str | None
    requested_at: datetime
    finished_at: datetime | None
    wallets: tuple[WalletVerdict, ...]
    rights_unproven: bool
    cause: Cause
    cached: bool = False
    restored_at: datetime | None = None
    waiting_for_exchange: WaitView | None = None
    retry_at: datetime | None = None


class BatchView(msgspec.Struct, frozen=True):
    """The syncs of one sync-all."""

    batch_id: UUID
    total: int
    successful: int
    failed: int
    pending: int
    results: tuple[SyncView, ...]


class SyncPage(msgspec.Struct, frozen=True):
    """Syncs, newest first; `next_cursor` is null on the last page."""

    items: tuple[SyncView, ...]
    next_cursor: UUID | None


def sync_view(
    sync: Sync,
    egress: tuple[str, ...],
    stand: Stand,
    restored: Restore | None = None,
    waits: ExchangeWaits | None = None,
) -> SyncView:
    """Return the view of a sync; `next_action` depends on the account's present state."""
    advice = Advice(Situation.SYNC, EXCHANGES[sync.exchange], None, egress)
    queued = sync.status is Status.QUEUED
    partial = sync.status is Status.PARTIAL
    return SyncView(
        account_id=sync.account_id,
        sync_id=sync.id,
        status=sync.status,
        success=None if queued else sync.status is Status.COMPLETED,
        holdings_count=sync.holdings_count,
        error=f"{PARTIAL_WORDS} {sync.error or ''}".strip() if partial else sync.error,
        error_code=sync.error_code,
        next_action=next_action(sync.error_code, advice, stand),
        requested_at=sync.requested_at,
        finished_at=sync.finished_at,
        wallets=sync.wallets,
        rights_unproven=sync.rights_unproven,
        cause=sync.cause,
        restored_at=restored.open(sync.requested_at, sync.finished_at) if restored else None,
        waiting_for_exchange=_wait(waits.of(sync.id) if waits and queued else None),
        retry_at=sync.retry_at,
    )


def _wait(wait: Wait | None) -> WaitView | None:
    return None if wait is None else WaitView(wait.error_code, wait.until)


def batch_view(  # noqa: PLR0913 - the parts of one view
    batch_id: UUID,
    syncs: list[Sync],
    egress: tuple[str, ...],
    stands: Mapping[UUID, Stand],
    restored: Restore | None = None,
    *,
    waits: ExchangeWaits | None = None,
) -> BatchView:
    """Return the view of a batch; a partial sync counts as failed."""
    results = tuple(sync_view(sync, egress, stands[sync.account_id], restored, waits) for sync in syncs)
    return BatchView(
        batch_id=batch_id,
        total=len(results),
        successful=sum(result.success is True for result in results),
        failed=sum(result.success is False for result in results),
        pending=sum(result.success is None for result in results),
        results=results,
    )

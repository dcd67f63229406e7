"""Texts of replayed responses: those to a request whose Idempotency-Key was used before. Pure."""

from collections.abc import Mapping
from uuid import UUID

import msgspec

from contracts.faults import fault_of
from contracts.remedies import Remedy, Standing
from gateway.http.sync_views import BatchView, SyncView
from gateway.rows.pauses import Stand

REPEATED = "This is the answer of an earlier request with the same Idempotency-Key; nothing was read anew."
TRY_AGAIN = f"{REPEATED} Send the request with a new Idempotency-Key, or without one, to sync again."


def replayed_sync(view: SyncView, stand: Stand) -> SyncView:
    """Add to a replayed failure how to try again, because its remedy may have been applied since.

    A new Idempotency-Key does not help with a paused or deleted account, so the text keeps that remedy.
    """
    if view.success is not False:
        return view
    if stand.standing is not Standing.ACTIVE:
        return msgspec.structs.replace(view, next_action=f"{REPEATED} {view.next_action}")
    ended = fault_of(view.error_code or "").remedy is Remedy.OTHER_KEY
    before = f" At that time: {view.next_action}" if view.next_action and not ended else ""
    return msgspec.structs.replace(view, next_action=TRY_AGAIN + before)


def replayed_batch(view: BatchView, stands: Mapping[UUID, Stand]) -> BatchView:
    """Add to each failure in a replayed batch how to try again."""
    results = tuple(replayed_sync(each, stands[each.account_id]) for each in view.results)
    return msgspec.structs.replace(view, results=results)

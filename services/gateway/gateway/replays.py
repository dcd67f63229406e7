"""What an answer says that repeats an earlier one, because its Idempotency-Key was used before. Pure."""

import msgspec

from gateway.views import BatchView, SyncView

TRY_AGAIN = (
    "This is the answer of an earlier request with the same Idempotency-Key; nothing was read anew. Send the "
    "request with a new Idempotency-Key, or without one, to sync again."
)


def replayed_sync(view: SyncView) -> SyncView:
    """Say of a failure that is repeated how to try again; what was to be done about it may be done."""
    if view.success is not False:
        return view
    before = f" At that time: {view.next_action}" if view.next_action else ""
    return msgspec.structs.replace(view, next_action=TRY_AGAIN + before)


def replayed_batch(view: BatchView) -> BatchView:
    """Say of each failure in a batch that is repeated how to try again."""
    return msgspec.structs.replace(view, results=tuple(map(replayed_sync, view.results)))

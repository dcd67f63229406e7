"""Routes to request syncs, wait for their outcomes, and look them up."""

from datetime import date
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter

from contracts.syncs import Cause
from gateway.accounts.history import parsed_day
from gateway.http.allowances import rate_limit_fields
from gateway.http.answers import documented
from gateway.http.prefer import wait_seconds
from gateway.http.rate_limits import COUNTED, RATE_LIMIT, documented_header
from gateway.http.replays import replayed_batch, replayed_sync
from gateway.http.situations import Doing
from gateway.http.sync_views import BatchView, SyncPage, SyncView, batch_view, sync_view
from gateway.routes.parameters import (
    Database,
    Egress,
    FirstDay,
    LastDay,
    Restored,
    SignedInRequest,
    Waiting,
    client_address,
)
from gateway.rows.pauses import Stand
from gateway.rows.syncs import SyncDay
from gateway.syncs import look
from gateway.syncs.requests import Accepted, Asking, Idempotency, Requests
from gateway.syncs.waiters import Waiters

LATER = "Not ended within the time asked for; Location says where the outcome will be"
ACCEPTED_SYNC = {202: ResponseSpec(SyncView, description=LATER, generate_examples=False)}
ACCEPTED_BATCH = {202: ResponseSpec(BatchView, description=LATER, generate_examples=False)}
ANSWERED = [
    *RATE_LIMIT,
    documented_header(
        "Idempotency-Replayed",
        "true",
        "true where the Idempotency-Key was used before: this is the answer of that request",
    ),
]

Prefer = Annotated[
    str | None,
    HeaderParameter(name="Prefer", description="wait=SECONDS (20 by default, 60 at most) or respond-async"),
]
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description="A key of yours: the request is done once in 24 h, also where it fails. After a failure "
        "a new key tries again.",
    ),
]
Limit = Annotated[int, QueryParameter(ge=1, le=100)]
Fresh = Annotated[
    bool, QueryParameter(description="true to read anew, also where a sync has completed a moment ago")
]
# Text, because Litestar reads the value `null` of an optional UUID as no value.
Cursor = Annotated[
    str | None,
    QueryParameter(pattern=r"\A[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z", format="uuid"),
]
Only = Annotated[
    str | None,
    QueryParameter(pattern=r"\A(person|schedule)\Z", description="only syncs with this `cause`"),
]


class SyncDays(msgspec.Struct, frozen=True):
    """How many syncs ended on each day (UTC) of their request, newest first; a day without syncs is left out.

    Syncs are deleted after 90 days; these counts stay.
    """

    items: tuple[SyncDay, ...]


@post(
    "/accounts/{account_id:uuid}/sync",
    status_code=200,
    response_headers=ANSWERED,
    responses=documented(401, 404, 409, 422, 429) | ACCEPTED_SYNC,
    tags=["accounts"],
    opt=COUNTED,
    situation=Doing.SYNC,
)
async def sync_account(
    account_id: UUID,
    request: SignedInRequest,
    pool: Database,
    requests: NamedDependency[Requests],
    waiters: NamedDependency[Waiters],
    egress: Egress,
    waiting: Waiting,
    prefer: Prefer = None,
    idempotency_key: IdempotencyKey = None,
    *,
    fresh: Fresh = False,
) -> Response[SyncView]:
    """Sync an account and wait for the outcome.

    The response is 202 with Location if the sync takes longer than the requested wait, and 409 if the account
    is paused, because the key of a paused account is not used. A sync that completed in the last few seconds
    answers without a new one (`cached`), unless `fresh` is true.
    """
    accepted = await requests.one(_asking(idempotency_key, request, fresh=fresh), account_id)
    sync_id, headers = accepted.target_id, _headers(accepted)
    await waiters.wait(request.user.id, [sync_id], wait_seconds(prefer), new=accepted.opened)
    ended = waiters.ended(sync_id) if accepted.opened else None
    if ended is not None and ended.error_code is None:  # the state of its account adds nothing
        sync, stand = ended, Stand()
    else:
        sync, stand = await look.find_sync(pool, request.user.id, sync_id)
    view = sync_view(sync, egress, stand, waits=waiting)
    view = replayed_sync(view, stand) if accepted.replayed else view
    view = msgspec.structs.replace(view, cached=accepted.cached)
    if view.success is None:
        return Response(view, status_code=202, headers=headers | {"Location": f"/api/v1/syncs/{sync_id}"})
    return Response(view, headers=headers)


@post(
    "/accounts/sync-all",
    status_code=200,
    response_headers=ANSWERED,
    responses=documented(401, 422, 429) | ACCEPTED_BATCH,
    tags=["accounts"],
    opt=COUNTED,
    situation=Doing.SYNC,
)
async def sync_all(
    request: SignedInRequest,
    pool: Database,
    requests: NamedDependency[Requests],
    waiters: NamedDependency[Waiters],
    egress: Egress,
    waiting: Waiting,
    prefer: Prefer = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[BatchView]:
    """Sync every account and wait for the outcomes.

    The response is 202 with Location if the syncs take longer than the requested wait. The sync of a paused
    account fails at once with the reason of the pause.
    """
    user_id = request.user.id
    accepted = await requests.all(_asking(idempotency_key, request))
    batch_id, headers = accepted.target_id, _headers(accepted)
    members, _ = await look.find_batch(pool, user_id, batch_id)
    await waiters.wait(user_id, [sync.id for sync in members], wait_seconds(prefer))
    ended, stands = await look.find_batch(pool, user_id, batch_id)
    view = batch_view(batch_id, ended, egress, stands, waits=waiting)
    view = replayed_batch(view, stands) if accepted.replayed else view
    if view.pending:
        location = {"Location": f"/api/v1/sync-batches/{batch_id}"}
        return Response(view, status_code=202, headers=headers | location)
    return Response(view, headers=headers)


@get("/syncs/{sync_id:uuid}", responses=documented(401, 404), tags=["syncs"])
async def show_sync(
    sync_id: UUID,
    request: SignedInRequest,
    pool: Database,
    egress: Egress,
    restored: Restored,
    waiting: Waiting,
) -> SyncView:
    """Show a sync."""
    sync, stand = await look.find_sync(pool, request.user.id, sync_id)
    return sync_view(sync, egress, stand, restored, waiting)


@get("/sync-batches/{batch_id:uuid}", responses=documented(401, 404), tags=["syncs"])
async def show_batch(
    batch_id: UUID,
    request: SignedInRequest,
    pool: Database,
    egress: Egress,
    restored: Restored,
    waiting: Waiting,
) -> BatchView:
    """Show the syncs of one sync-all."""
    members, stands = await look.find_batch(pool, request.user.id, batch_id)
    return batch_view(batch_id, members, egress, stands, restored, waits=waiting)


@get("/accounts/{account_id:uuid}/syncs", responses=documented(400, 401, 404), tags=["syncs"])
async def list_syncs(
    account_id: UUID,
    request: SignedInRequest,
    pool: Database,
    egress: Egress,
    restored: Restored,
    waiting: Waiting,
    limit: Limit = 20,
    cursor: Cursor = None,
    cause: Only = None,
) -> SyncPage:
    """List the syncs of an account, newest first; `cursor` is the `next_cursor` of the previous page."""
    asked = look.Asked(UUID(cursor) if cursor else None, limit, Cause(cause) if cause else None)
    page = await look.list_syncs(pool, request.user.id, account_id, asked)
    items = tuple(sync_view(sync, egress, page.stand, restored, waiting) for sync in page.syncs)
    return SyncPage(items, items[-1].sync_id if page.more else None)


@get("/accounts/{account_id:uuid}/syncs/days", responses=documented(400, 401, 404), tags=["syncs"])
async def list_sync_days(
    account_id: UUID, request: SignedInRequest, pool: Database, first: FirstDay = None, last: LastDay = None
) -> SyncDays:
    """List how many syncs of an account ended on each day, also those that were deleted after 90 days."""
    return SyncDays(tuple(await look.list_days(pool, request.user.id, account_id, *_days(first, last))))


def _days(first: str | None, last: str | None) -> tuple[date | None, date | None]:
    return parsed_day("from", first), parsed_day("to", last)


def _headers(accepted: Accepted) -> dict[str, str]:
    replayed = {"Idempotency-Replayed": "true"} if accepted.replayed else {}
    return rate_limit_fields([accepted.allowance]) | replayed


def _asking(key: str | None, request: SignedInRequest, *, fresh: bool = False) -> Asking:
    # These requests have no body.
    used_for = f"{request.method} {request.scope['path']}{'?fresh=true' if fresh else ''}"
    idempotency = None if key is None else Idempotency(key, used_for)
    return Asking(request.user.id, client_address(request), idempotency, fresh)

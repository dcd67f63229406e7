"""Syncs: requesting them, waiting for their outcome, and looking it up."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated
from uuid import UUID

from litestar import Response, get, post
from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter

from gateway.context import Gateway
from gateway.http.answers import documented
from gateway.http.prefer import wait_seconds
from gateway.http.problems import invalid_input, not_found
from gateway.http.rate_limits import COUNTED, RATE_LIMIT
from gateway.http.replays import replayed_batch, replayed_sync
from gateway.http.situations import Doing
from gateway.places import TooBusy
from gateway.portfolio.views import BatchView, SyncPage, SyncView, batch_view, sync_view
from gateway.routes.auth import SignedInRequest, client_address
from gateway.store import accounts, pauses, syncs
from gateway.store.pauses import Stand
from gateway.store.syncs import Sync
from gateway.syncs.open import Asking, Idempotency

LATER = "Not ended within the time asked for; Location says where the outcome will be"
ACCEPTED_SYNC = {202: ResponseSpec(SyncView, description=LATER, generate_examples=False)}
ACCEPTED_BATCH = {202: ResponseSpec(BatchView, description=LATER, generate_examples=False)}
ANSWERED = [
    *RATE_LIMIT,
    ResponseHeader(
        name="Idempotency-Replayed",
        value="true",
        description="true where the Idempotency-Key was used before: this is the answer of that request",
        documentation_only=True,
    ),
]

Prefer = Annotated[
    str | None,
    Parameter(header="Prefer", description="wait=SECONDS (20 by default, 60 at most) or respond-async"),
]
IdempotencyKey = Annotated[
    str | None,
    Parameter(
        header="Idempotency-Key",
        description="A key of yours: the request is done once in 24 h, also where it fails. After a failure "
        "a new key tries again.",
    ),
]
Limit = Annotated[int, Parameter(ge=1, le=100)]


@post(
    "/api/v1/accounts/{account_id:uuid}/sync",
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
    gateway: Gateway,
    prefer: Prefer = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[SyncView]:
    """Sync an account and wait for the outcome; 202 with Location when it takes longer than asked.

    409 when the account is paused: its key is not used.
    """
    accepted = await gateway.requests.one(_asking(idempotency_key, request), account_id)
    sync_id, headers = accepted.target_id, accepted.headers()
    await _wait(gateway, request, [sync_id], prefer)
    sync, stand = await _sync(gateway, request, sync_id)
    view = sync_view(sync, gateway.egress, stand)
    view = replayed_sync(view, stand) if accepted.replayed else view
    if view.success is None:
        return Response(view, status_code=202, headers=headers | {"Location": f"/api/v1/syncs/{sync_id}"})
    return Response(view, headers=headers)


@post(
    "/api/v1/accounts/sync-all",
    status_code=200,
    response_headers=ANSWERED,
    responses=documented(401, 422, 429) | ACCEPTED_BATCH,
    tags=["accounts"],
    opt=COUNTED,
    situation=Doing.SYNC,
)
async def sync_all(
    request: SignedInRequest, gateway: Gateway, prefer: Prefer = None, idempotency_key: IdempotencyKey = None
) -> Response[BatchView]:
    """Sync every account and wait for the outcomes; 202 with Location when it takes longer than asked.

    The sync of a paused account has failed at once, for the reason of the pause.
    """
    accepted = await gateway.requests.all(_asking(idempotency_key, request))
    batch_id, headers = accepted.target_id, accepted.headers()
    members, _ = await _batch(gateway, request, batch_id)
    await _wait(gateway, request, [sync.id for sync in members], prefer)
    ended, stands = await _batch(gateway, request, batch_id)
    view = batch_view(batch_id, ended, gateway.egress, stands)
    view = replayed_batch(view, stands) if accepted.replayed else view
    if view.pending:
        location = {"Location": f"/api/v1/sync-batches/{batch_id}"}
        return Response(view, status_code=202, headers=headers | location)
    return Response(view, headers=headers)


@get("/api/v1/syncs/{sync_id:uuid}", responses=documented(401, 404), tags=["syncs"])
async def show_sync(sync_id: UUID, request: SignedInRequest, gateway: Gateway) -> SyncView:
    """Show a sync."""
    sync, stand = await _sync(gateway, request, sync_id)
    return sync_view(sync, gateway.egress, stand)


@get("/api/v1/sync-batches/{batch_id:uuid}", responses=documented(401, 404), tags=["syncs"])
async def show_batch(batch_id: UUID, request: SignedInRequest, gateway: Gateway) -> BatchView:
    """Show the syncs of one sync-all."""
    members, stands = await _batch(gateway, request, batch_id)
    return batch_view(batch_id, members, gateway.egress, stands)


@get("/api/v1/accounts/{account_id:uuid}/syncs", responses=documented(400, 401, 404), tags=["syncs"])
async def list_syncs(
    account_id: UUID,
    request: SignedInRequest,
    gateway: Gateway,
    limit: Limit = 20,
    cursor: UUID | None = None,
) -> SyncPage:
    """List the syncs of an account, newest first; `cursor` is the `next_cursor` of the page before."""
    async with gateway.pool.transaction(snapshot=True) as connection:
        if await accounts.find_account(connection, request.user.id, account_id) is None:
            raise not_found()
        if cursor is not None:
            last = await syncs.find_sync(connection, request.user.id, cursor)
            if last is None or last.account_id != account_id:
                raise invalid_input(
                    "This cursor is not from a page of this account: begin again without a cursor."
                )
        listed = await syncs.list_syncs(connection, account_id, cursor, limit + 1)
        stand = (await pauses.find_stands(connection, [account_id]))[account_id]
    items = tuple(sync_view(sync, gateway.egress, stand) for sync in listed[:limit])
    return SyncPage(items, items[-1].sync_id if len(listed) > limit else None)


async def _wait(
    gateway: Gateway, request: SignedInRequest, sync_ids: Sequence[UUID], prefer: str | None
) -> None:
    """Wait as long as is asked for; not at all when too many wait, because the syncs are accepted already."""
    with suppress(TooBusy), gateway.waits.taken(str(request.user.id)):
        await gateway.waiters.wait(sync_ids, wait_seconds(prefer))


async def _sync(gateway: Gateway, request: SignedInRequest, sync_id: UUID) -> tuple[Sync, Stand]:
    """Give a sync and how its account stands now."""
    async with gateway.pool.transaction(snapshot=True) as connection:
        sync = await syncs.find_sync(connection, request.user.id, sync_id)
        if sync is None:
            raise not_found()
        stands = await pauses.find_stands(connection, [sync.account_id])
    return sync, stands[sync.account_id]


async def _batch(
    gateway: Gateway, request: SignedInRequest, batch_id: UUID
) -> tuple[list[Sync], dict[UUID, Stand]]:
    """Give the syncs of a batch and how their accounts stand now."""
    async with gateway.pool.transaction(snapshot=True) as connection:
        found = await syncs.find_batch(connection, request.user.id, batch_id)
        if found is None:
            raise not_found()
        return found, await pauses.find_stands(connection, [sync.account_id for sync in found])


def _asking(key: str | None, request: SignedInRequest) -> Asking:
    used_for = f"{request.method} {request.scope['path']}"
    idempotency = None if key is None else Idempotency(key, used_for)
    return Asking(request.user.id, client_address(request), idempotency)

"""Opening the sync of one account with two statements: one that looks, and one that writes it all."""

from typing import Any
from uuid import UUID

import msgspec

from chassis.tracing import traceparent
from gateway.limits import Charge
from gateway.rows.accounts import Asked
from gateway.rows.outbox import Outgoing
from gateway.rows.syncs import Opening
from gateway.store.audit import Action
from gateway.store.lately import LATELY_JSON, lately_seconds
from gateway.store.pool import Connection, fetch_one
from gateway.store.sub_accounts import SOURCE_JSON


class Opened(msgspec.Struct, frozen=True):
    """The user's counter with this request, the time until the sync's deadline, and its request's row."""

    used: int
    seconds: float
    seconds_left: float
    outbox_id: int


async def look(
    connection: Connection, user_id: UUID, account_id: UUID, cache_seconds: float = 0.0
) -> Asked | None:
    """Find an account of a user that has a credential, without a lock, and its wallets that were empty.

    Also find its newest sync, if that completed with this credential within the last seconds, unless a pause
    forbids syncs. An end in the future comes from a clock that was set back.
    """
    return await fetch_one(
        connection,
        Asked,
        f"""select id, exchange, region, credential_id, now() as now, {LATELY_JSON} as lately,
               {SOURCE_JSON} as source,
               case when %(cached)s > 0 then (
               select case when latest.status = 'completed'
                   and latest.finished_at between now() - make_interval(secs => %(cached)s) and now()
                   and not exists (select from account_pauses pause where pause.account_id = accounts.id
                                   and pause.credential_id = accounts.credential_id)
                   and not exists (select from paused_exchanges paused
                                   where paused.exchange = accounts.exchange)
                   and latest.requested_at >= (
                       select created_at from credentials where credentials.id = accounts.credential_id)
                   then latest.id end
               from syncs latest where latest.account_id = accounts.id order by latest.number desc limit 1
               ) end as cached from accounts
           where id = %(id)s and user_id = %(user_id)s and deleted_at is null
               and credential_id is not null""",  # noqa: S608 - constants
        **lately_seconds(),
        id=account_id,
        user_id=user_id,
        cached=cache_seconds,
    )


async def write(
    connection: Connection, sync: Opening, request: Outgoing, charges: tuple[Charge, Charge], lease: float
) -> Opened | None:
    """Open a sync with its request and its audit, and count it for the user and the client's address.

    None, and nothing is written, if a limit is used up, the account has changed, it or its exchange is
    paused, or a sync is open. The outbox has the request as claimed for a lease of some seconds; 0 leaves it
    to any relay.
    """
    said = _said(sync, request, charges) | {"lease": lease}
    return await fetch_one(
        connection,
        Opened,
        "select used, seconds, seconds_left, outbox_id from open_sync(%(said)s::json)",
        said=msgspec.json.encode(said).decode(),
    )


def _said(sync: Opening, request: Outgoing, charges: tuple[Charge, Charge]) -> dict[str, Any]:
    (user_policy, _), (address_policy, address) = charges
    return {
        "id": sync.id,
        "user_id": sync.user_id,
        "account_id": sync.account_id,
        "credential_id": sync.credential_id,
        "exchange": sync.exchange,
        "deadline": sync.deadline,
        "message_id": request.message_id,
        "subject": request.subject,
        "stream": request.stream,
        "headers": request.headers,
        "body": request.body.decode(),
        "traceparent": request.traceparent or traceparent(),
        "action": Action.SYNC_REQUESTED,
        "detail": {"account_id": sync.account_id},
        "policy": user_policy.name,
        "quota": user_policy.quota,
        "window": user_policy.window,
        "address_policy": address_policy.name,
        "address": address,
        "address_quota": address_policy.quota,
        "address_window": address_policy.window,
    }

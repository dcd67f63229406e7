"""Opening the sync of one account with two statements: one that locks and looks, and one that writes."""

from typing import LiteralString
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from chassis.tracing import traceparent
from gateway.limits import Charge
from gateway.rows.accounts import Asked
from gateway.rows.outbox import Outgoing
from gateway.rows.syncs import Opening
from gateway.store import outbox
from gateway.store.audit import Action
from gateway.store.limits import COUNT, counting
from gateway.store.pool import Connection, fetch_one


class Written(msgspec.Struct, frozen=True):
    """The counter of the client's address with this request, and the id of the sync's request in the outbox.

    The id is None if no sync was opened, because one is open, or the account or its exchange was paused
    meanwhile. `seconds_left` is the time until the sync's deadline.
    """

    used: int
    seconds: float
    seconds_left: float
    outbox_id: int | None


_ASK: LiteralString = (
    "with counted as ("  # noqa: S608 - constants
    + COUNT
    + """)
    select account.*, counted.used, counted.seconds, now() as now,
        exists (select from account_pauses pause where pause.account_id = account.id
                and pause.credential_id = account.credential_id) as paused,
        exists (select from paused_exchanges where exchange = account.exchange) as exchange_paused,
        coalesce((select rate_limits.used from rate_limits where policy = %(address_policy)s
                  and subject = %(address)s and ends_at > statement_timestamp()), 0) as address_used
    from counted cross join lateral (
        select id, exchange, region, credential_id from accounts
        where id = %(account_id)s and user_id = %(user_id)s and deleted_at is null for update) account"""
)

_OPEN: LiteralString = """
    with opened as (
        insert into syncs (id, user_id, account_id, exchange, deadline)
        select %(id)s, %(user_id)s, %(account_id)s, %(exchange)s, %(deadline)s
        where not exists (select from account_pauses where account_id = %(account_id)s
                          and credential_id = %(credential_id)s)
            and not exists (select from paused_exchanges where exchange = %(exchange)s)
        on conflict (account_id) where status = 'queued' do nothing returning id),
    audited as (
        insert into audit (user_id, action, subject, detail)
        select %(user_id)s, %(action)s, id, %(detail)s from opened),
    told as ("""


async def ask(
    connection: Connection, user_id: UUID, account_id: UUID, of_user: Charge, of_address: Charge
) -> Asked | None:
    """Count a request for the user, then lock the account; None if the user has no such account."""
    return await fetch_one(
        connection,
        Asked,
        _ASK,
        user_id=user_id,
        account_id=account_id,
        address_policy=of_address[0].name,
        address=of_address[1],
        **counting(of_user),
    )


async def write(
    connection: Connection, sync: Opening, request: Outgoing, of_address: Charge, lease: float
) -> Written:
    """Open a sync of a locked account with its request and its audit, and count it for the client's address.

    The outbox has the request as claimed for a lease of some seconds; 0 leaves it to any relay.
    """
    columns, values = outbox.leased(lease)
    written = await fetch_one(
        connection,
        Written,
        f"""{_OPEN}
            insert into outbox (message_id, subject, stream, headers, body, sync_id, traceparent{columns})
            select %(message_id)s, %(to)s, %(stream)s, %(headers)s, %(body)s, id, %(traceparent)s{values}
            from opened returning id),
        counted as ({COUNT})
        select used, seconds, (select id from told) as outbox_id,
            extract(epoch from %(deadline)s - clock_timestamp())::float8 as seconds_left from counted""",  # noqa: S608 - constants
        id=sync.id,
        user_id=sync.user_id,
        account_id=sync.account_id,
        exchange=sync.exchange,
        deadline=sync.deadline,
        credential_id=sync.credential_id,
        message_id=request.message_id,
        to=request.subject,
        stream=request.stream,
        headers=Jsonb(request.headers),
        body=request.body,
        traceparent=request.traceparent or traceparent(),
        lease=lease,
        action=Action.SYNC_REQUESTED,
        detail=Jsonb({"account_id": str(sync.account_id)}),
        **counting(of_address),
    )
    assert written is not None  # noqa: S101 - an upsert returns its row
    return written

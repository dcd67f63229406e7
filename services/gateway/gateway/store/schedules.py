"""The schedule of accounts: claimed when due, moved by outcomes, changed by users.

A transaction that changes a row of the schedule holds the account's row; a claim waits for neither.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from contracts.streams import SYNC_REQUESTS
from gateway.rows.outbox import Outgoing
from gateway.rows.schedules import Due, Schedule
from gateway.rows.syncs import Opening
from gateway.store.audit import Action
from gateway.store.lately import LATELY_JSON, lately_seconds
from gateway.store.pool import Connection, execute, fetch_all
from gateway.store.sub_accounts import SOURCE_JSON


async def find_due(connection: Connection, exchanges: Sequence[str]) -> list[str]:
    """Return the exchanges that have accounts that are due, without those that an operator has paused."""
    rows = await connection.execute(
        """select key from unnest(%s::text[]) as key where exists (
               select from schedule where exchange = key and next_at is not null and next_at <= now())
               and not exists (select from paused_exchanges where paused_exchanges.exchange = key)""",
        [list(exchanges)],
    )
    return [key for (key,) in await rows.fetchall()]


async def pull_back(connection: Connection, exchanges: Sequence[str], most_seconds: float) -> int:
    """Let accounts be due now that would be due later than any interval allows; returns how many.

    They were claimed while the database's clock was ahead, and would else wait until that time.
    """
    return await execute(
        connection,
        """update schedule set next_at = now() where account_id in (
               select account_id from schedule where exchange = any(%(exchanges)s)
                   and next_at > now() + make_interval(secs => %(most)s)
               limit 1000 for update skip locked)""",
        exchanges=list(exchanges),
        most=most_seconds,
    )


async def claim(connection: Connection, exchange: str, subject: str, limit: int) -> list[Due]:
    """Lock the accounts of an exchange that are due, with their rows of the schedule; the longest due first.

    Leaves out accounts that another transaction has locked. At most `limit`, less the requests of this
    subject that still wait in the outbox.
    """
    return await fetch_all(
        connection,
        Due,
        f"""select schedule.account_id as id, accounts.user_id, schedule.exchange, accounts.region,
               accounts.credential_id, schedule.interval_seconds, now() as now,
               {LATELY_JSON} as lately, {SOURCE_JSON} as source,
               exists (select from account_pauses where account_pauses.account_id = accounts.id
                       and account_pauses.credential_id = accounts.credential_id)
               or exists (select from paused_exchanges
                          where paused_exchanges.exchange = schedule.exchange)
               or exists (select from disabled_users
                          where disabled_users.user_id = accounts.user_id) as closed
           from schedule join accounts on accounts.id = schedule.account_id
           where schedule.exchange = %(exchange)s and schedule.next_at is not null
               and schedule.next_at <= now()
           order by schedule.next_at
           limit greatest(%(limit)s - (select count(*) from outbox
                                       where stream = %(stream)s and outbox.subject = %(subject)s), 0)
           for update of schedule, accounts skip locked""",  # noqa: S608 - constants
        **lately_seconds(),
        exchange=exchange,
        stream=SYNC_REQUESTS,
        subject=subject,
        limit=limit,
    )


async def write(
    connection: Connection, openings: Sequence[tuple[Opening, Outgoing]], waits: Mapping[UUID, float]
) -> list[UUID]:
    """Open the syncs of claimed accounts, and set in how many seconds each account is due again.

    Returns the ids of the syncs that were opened; an account with an open sync gets no other.
    """
    rows = await connection.execute(
        """with said as materialized (
               select * from json_to_recordset(%(said)s::json) as said (
                   id uuid, user_id uuid, account_id uuid, exchange text, deadline timestamptz,
                   message_id text, subject text, stream text, headers jsonb, body text)),
           moved as (
               update schedule set next_at = now() + make_interval(secs => wait.seconds)
               from unnest(%(accounts)s::uuid[], %(waits)s::float8[]) as wait (account_id, seconds)
               where schedule.account_id = wait.account_id and schedule.account_id = any(%(accounts)s)),
           opened as (
               insert into syncs (id, user_id, account_id, exchange, deadline)
               select id, user_id, account_id, exchange, deadline from said
               on conflict (account_id) where status = 'queued' do nothing returning id),
           caused as (
               insert into scheduled_syncs (sync_id) select id from opened),
           audited as (
               insert into audit (user_id, action, subject, detail)
               select user_id, %(action)s, id,
                   json_build_object('account_id', account_id, 'cause', 'schedule')
               from said where id in (select id from opened))
           insert into outbox (message_id, subject, stream, headers, body, sync_id)
           select message_id, subject, stream, headers, convert_to(body, 'UTF8'), id
           from said where id in (select id from opened)
           on conflict (message_id) do nothing returning sync_id""",
        {
            "said": msgspec.json.encode([_said(*opening) for opening in openings]).decode(),
            "accounts": list(waits),
            "waits": list(waits.values()),
            "action": Action.SYNC_REQUESTED,
        },
    )
    return [sync_id for (sync_id,) in await rows.fetchall()]


def _said(sync: Opening, request: Outgoing) -> dict[str, Any]:
    return {
        "id": sync.id,
        "user_id": sync.user_id,
        "account_id": sync.account_id,
        "exchange": sync.exchange,
        "deadline": sync.deadline,
        "message_id": request.message_id,
        "subject": request.subject,
        "stream": request.stream,
        "headers": request.headers,
        "body": request.body.decode(),
    }


async def find(connection: Connection, account_ids: Sequence[UUID]) -> dict[UUID, Schedule]:
    """Find the schedules of accounts."""
    found = await fetch_all(
        connection,
        Schedule,
        """select account_id, interval_seconds, failures, stopped, next_at,
               exists (select from paused_exchanges
                       where paused_exchanges.exchange = schedule.exchange) as exchange_paused
           from schedule where account_id = any(%(ids)s)""",
        ids=list(account_ids),
    )
    return {each.account_id: each for each in found}


async def set_interval(
    connection: Connection, account_id: UUID, seconds: int | None, wait: float | None
) -> None:
    """Set the interval of a locked account, due in `wait` seconds or earlier; None turns the schedule off.

    A schedule that a fault of the key has stopped stays stopped. Without a schedule its key is verified a day
    later.
    """
    await execute(
        connection,
        """update schedule set interval_seconds = %(seconds)s,
               verify_at = case when %(seconds)s::integer is null
                   then least(verify_at, now() + interval '1 day') end,
               next_at = case when stopped is null and %(seconds)s::integer is not null
                   then least(next_at, now() + make_interval(secs => %(wait)s)) end
           where account_id = %(id)s""",
        id=account_id,
        seconds=seconds,
        wait=wait,
    )

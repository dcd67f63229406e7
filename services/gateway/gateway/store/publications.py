"""The publications of the requests of syncs: their places in the stream, and the lost ones."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from gateway.rows.syncs import Held, Publication, Sync
from gateway.store.pool import Connection, execute, fetch_all, fetch_one


async def confirm(connection: Connection, rows: Sequence[int], places: Mapping[Publication, int]) -> None:
    """Delete messages from the outbox that the streams confirmed, with one statement that may run twice.

    `places` are the stream sequences of the requests among them: each becomes that of its sync, as published
    now. The sequences of earlier publications are ignored.
    """
    await execute(
        connection,
        # The rows of syncs are locked before those of the outbox, as by the sweeper.
        """with held as materialized (
               select syncs.id, place.seq
               from unnest(%(ids)s::uuid[], %(numbers)s::integer[], %(seqs)s::bigint[])
                   as place (id, number, seq)
               join syncs on syncs.id = place.id and syncs.publications = place.number
               order by syncs.id for update of syncs),
           placed as (
               update syncs set request_seq = held.seq, published_at = clock_timestamp()
               from held where syncs.id = held.id returning syncs.id),
           confirmed as materialized (
               select id from outbox where id = any(%(rows)s)
                  and (select count(*) from placed) >= 0 order by id for update skip locked)
           delete from outbox where id in (select id from confirmed)""",
        ids=[publication.sync_id for publication in places],
        numbers=[publication.number for publication in places],
        seqs=list(places.values()),
        rows=list(rows),
    )


async def find_by_request_seq(connection: Connection, request_seq: int) -> Sync | None:
    """Find the open sync whose last request has a sequence in the stream."""
    return await fetch_one(
        connection,
        Sync,
        "select * from syncs where request_seq = %(seq)s and status = 'queued'",
        seq=request_seq,
    )


async def take_lost(  # noqa: PLR0913 - a queue, and how to take from it
    connection: Connection,
    exchange: str,
    held: Held,
    silent_since: datetime,
    limit: int,
    *,
    scheduled: bool = False,
) -> list[Sync]:
    """Claim open syncs whose request was published before a time and is lost; count a publication.

    A request is lost if it is neither in the outbox nor in the stream. With `scheduled`, only those whose
    only publication was on the subject of the schedule, else all others. Syncs of paused accounts, which
    only a previous gateway version opens, are left out.
    """
    return await fetch_all(
        connection,
        Sync,
        """update syncs set publications = publications + 1, published_at = now(), request_seq = null
           where id in (
               select id from syncs where status = 'queued' and exchange = %(exchange)s and deadline > now()
                  and published_at < %(silent_since)s
                  and (publications = 1 and exists (select from scheduled_syncs
                                            where sync_id = syncs.id)) = %(scheduled)s
                  and not exists (select from account_pauses join accounts on accounts.id = syncs.account_id
                                      and accounts.credential_id = account_pauses.credential_id
                                  where account_pauses.account_id = syncs.account_id)
                  and (request_seq is null or request_seq <= %(above)s or request_seq > %(up_to)s
                       or published_at < %(since)s)
                  and not exists (select from outbox
                                  where message_id = syncs.id::text || ':' || syncs.publications::text)
               order by published_at limit %(limit)s for update skip locked)
           returning *""",
        **msgspec.structs.asdict(held),
        exchange=exchange,
        silent_since=silent_since,
        limit=limit,
        scheduled=scheduled,
    )


async def delete_requests_of_ended(connection: Connection, limit: int) -> int:
    """Delete requests in the outbox whose syncs have ended; returns how many."""
    return await execute(
        connection,
        """delete from outbox where id in (
               select outbox.id from outbox join syncs on syncs.id = outbox.sync_id
               where syncs.status <> 'queued' limit %(limit)s for update of outbox skip locked)""",
        limit=limit,
    )

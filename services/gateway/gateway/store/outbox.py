"""The outbox: messages written in the transaction of their change, published by the relay."""

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

import msgspec
from psycopg.types.json import Jsonb

from chassis.tracing import traceparent
from contracts.wire.envelope import DEADLINE_HEADER
from gateway.rows.outbox import Claimed, Outgoing
from gateway.store.pool import Connection, execute, fetch_all


def leased(lease: float) -> tuple[LiteralString, LiteralString]:
    """Return the last columns and values of a new message: claimed for a lease of seconds, or due at once."""
    if not lease:
        return "", ""
    return ", attempts, next_at", ", 1, clock_timestamp() + make_interval(secs => %(lease)s)"


async def put(connection: Connection, message: Outgoing) -> None:
    """Write a message, unless it is already in the outbox."""
    values: dict[str, Any] = {
        **msgspec.structs.asdict(message),
        "headers": Jsonb(message.headers),
        "traceparent": message.traceparent or traceparent(),
    }
    await execute(
        connection,
        """insert into outbox (message_id, subject, stream, headers, body, sync_id, traceparent)
           values (%(message_id)s, %(subject)s, %(stream)s, %(headers)s, %(body)s, %(sync_id)s,
                   %(traceparent)s)
           on conflict (message_id) do nothing""",
        **values,
    )


async def put_all(connection: Connection, messages: list[Outgoing]) -> None:
    """Write many messages with one statement, if any, except those already in the outbox."""
    if not messages:
        return
    await execute(
        connection,
        """insert into outbox (message_id, subject, stream, headers, body, sync_id, traceparent)
           select * from unnest(%(message_id)s::text[], %(subject)s::text[], %(stream)s::text[],
                                %(headers)s::jsonb[], %(body)s::bytea[], %(sync_id)s::uuid[],
                                %(traceparent)s::text[])
           on conflict (message_id) do nothing""",
        message_id=[each.message_id for each in messages],
        subject=[each.subject for each in messages],
        stream=[each.stream for each in messages],
        headers=[Jsonb(each.headers) for each in messages],
        body=[each.body for each in messages],
        sync_id=[each.sync_id for each in messages],
        traceparent=[each.traceparent or traceparent() for each in messages],
    )


async def claim(
    connection: Connection, places: Mapping[str, int], otherwise: int, lease_seconds: float
) -> list[Claimed]:
    """Claim due messages of every stream: as many as `places` says, `otherwise` for streams not in it.

    Messages that were never tried go first. Rows locked by another transaction are skipped. The commit does
    not wait for the disk, because a claim lost in a crash is only made again.
    """
    return await fetch_all(
        connection,
        Claimed,
        """with recursive lane (stream) as (
               (select stream from outbox order by stream limit 1)
               union all
               select (select next.stream from outbox next where next.stream > lane.stream
                       order by next.stream limit 1)
               from lane where lane.stream is not null
           ), due as materialized (
               select chosen.id from lane cross join lateral (
                   select id from outbox where outbox.stream = lane.stream and next_at <= now()
                   order by attempts, next_at, id
                   limit coalesce((%(places)s::jsonb ->> lane.stream)::integer, %(otherwise)s)
                   for update skip locked) chosen
               where lane.stream is not null
           ), unsynced as materialized (
               select set_config('synchronous_commit', 'off', true)
           )
           update outbox set next_at = now() + make_interval(secs => %(lease)s), attempts = attempts + 1
           from unsynced where id in (select id from due)
           returning id, attempts, message_id, subject, stream, headers, body, sync_id, traceparent,
               extract(epoch from (headers->>%(deadline)s)::timestamptz - clock_timestamp())::float8
                   as seconds_left""",
        deadline=DEADLINE_HEADER,
        places=Jsonb(dict(places)),
        otherwise=otherwise,
        lease=lease_seconds,
    )


async def put_off(connection: Connection, delays: Sequence[tuple[Claimed, float]]) -> None:
    """Postpone messages by the given seconds, unless another relay has claimed them since."""
    await execute(
        connection,
        """update outbox set next_at = now() + make_interval(secs => refused.seconds)
           from unnest(%(ids)s::bigint[], %(attempts)s::integer[], %(seconds)s::float8[])
               as refused (id, attempts, seconds)
           where outbox.id = refused.id and outbox.attempts = refused.attempts and outbox.id in
               (select id from outbox where id = any(%(ids)s) order by id for update skip locked)""",
        ids=[message.id for message, _ in delays],
        attempts=[message.attempts for message, _ in delays],
        seconds=[seconds for _, seconds in delays],
    )

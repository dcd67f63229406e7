"""The outbox: messages written in the transaction that they tell of, published by the relay."""

from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from gateway.store.pool import Connection, execute, fetch_all


class Outgoing(msgspec.Struct, frozen=True):
    """A message to be published once; the stream drops a second one with its `message_id`."""

    message_id: str
    subject: str
    stream: str
    headers: dict[str, str]
    body: bytes
    sync_id: UUID | None = None


class Waiting(Outgoing, frozen=True, kw_only=True):
    """A message in the outbox."""

    id: int


async def put(connection: Connection, message: Outgoing) -> None:
    """Write a message; one that waits already is not written again."""
    values: dict[str, Any] = {**msgspec.structs.asdict(message), "headers": Jsonb(message.headers)}
    await execute(
        connection,
        """insert into outbox (message_id, subject, stream, headers, body, sync_id)
           values (%(message_id)s, %(subject)s, %(stream)s, %(headers)s, %(body)s, %(sync_id)s)
           on conflict (message_id) do nothing""",
        **values,
    )


async def put_all(connection: Connection, messages: list[Outgoing]) -> None:
    """Write many messages with one statement; those that wait already are not written again."""
    await execute(
        connection,
        """insert into outbox (message_id, subject, stream, headers, body, sync_id)
           select * from unnest(%(message_id)s::text[], %(subject)s::text[], %(stream)s::text[],
                                %(headers)s::jsonb[], %(body)s::bytea[], %(sync_id)s::uuid[])
           on conflict (message_id) do nothing""",
        message_id=[each.message_id for each in messages],
        subject=[each.subject for each in messages],
        stream=[each.stream for each in messages],
        headers=[Jsonb(each.headers) for each in messages],
        body=[each.body for each in messages],
        sync_id=[each.sync_id for each in messages],
    )


async def take(connection: Connection, limit: int) -> list[Waiting]:
    """Choose the oldest messages that no other relay has."""
    return await fetch_all(
        connection,
        Waiting,
        """select id, message_id, subject, stream, headers, body, sync_id from outbox
           order by id limit %(limit)s for update skip locked""",
        limit=limit,
    )


async def delete(connection: Connection, ids: list[int]) -> None:
    """Take published messages out."""
    await execute(connection, "delete from outbox where id = any(%(ids)s)", ids=ids)

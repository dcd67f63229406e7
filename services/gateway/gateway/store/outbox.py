"""The outbox: messages written in the transaction that they tell of, published by the relay."""

from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from contracts.bus.envelope import DEADLINE_HEADER, SECONDS_LEFT_HEADER
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
    """A message in the outbox; `seconds_left` until its deadline, by the clock that set it."""

    id: int
    seconds_left: float | None = None

    def stamped(self) -> dict[str, str]:
        """Give the headers, with what is left until the deadline: the message may have waited here."""
        if self.seconds_left is None:
            return self.headers
        return {**self.headers, SECONDS_LEFT_HEADER: f"{self.seconds_left:.3f}"}


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


async def take(connection: Connection, limit: int) -> list[Waiting]:
    """Choose the oldest messages that no other relay has."""
    return await fetch_all(
        connection,
        Waiting,
        """select id, message_id, subject, stream, headers, body, sync_id,
                  extract(epoch from (headers->>%(deadline)s)::timestamptz - clock_timestamp())::float8
                      as seconds_left
           from outbox
           order by id limit %(limit)s for update skip locked""",
        limit=limit,
        deadline=DEADLINE_HEADER,
    )


async def delete(connection: Connection, ids: list[int]) -> None:
    """Take published messages out."""
    await execute(connection, "delete from outbox where id = any(%(ids)s)", ids=ids)

"""Operators, and the append-only list of their acts."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from contracts.operators import Role
from gateway.store.pool import Connection, execute, fetch_one


class Act(StrEnum):
    """The audited acts of operators; `begun` stands before one that the database alone can not undo."""

    TOKEN_REFUSED = "token_refused"  # noqa: S105 - the name of an event
    ACT_REFUSED = "act_refused"
    USER_DISABLED = "user_disabled"
    USER_ENABLED = "user_enabled"
    SESSIONS_ENDED = "sessions_ended"
    EXCHANGE_PAUSED = "exchange_paused"
    EXCHANGE_RESUMED = "exchange_resumed"
    REPLAY_BEGUN = "replay_begun"
    DEAD_LETTER_REPLAYED = "dead_letter_replayed"
    DROP_BEGUN = "drop_begun"
    DEAD_LETTER_DROPPED = "dead_letter_dropped"


class Operator(msgspec.Struct, frozen=True):
    """An operator as stored; the hash is that of the token's secret."""

    id: UUID
    name: str
    role: Role
    token_hash: bytes

    def __repr__(self) -> str:
        return f"Operator({self.id})"


class Acting(msgspec.Struct, frozen=True):
    """The operator of a request, and the client's address."""

    operator: Operator
    address: str | None


async def find(connection: Connection, operator_id: UUID) -> Operator | None:
    """Find an operator that is not revoked."""
    return await fetch_one(
        connection,
        Operator,
        """select id, name, role, token_hash from operators
           where id = %(id)s and revoked_at is null""",
        id=operator_id,
    )


async def mark_used(connection: Connection, operator_id: UUID) -> None:
    """Remember that a token is in use, at most once a minute."""
    await execute(
        connection,
        """update operators set last_used_at = now()
           where id = %(id)s and (last_used_at is null or last_used_at < now() - interval '1 minute')""",
        id=operator_id,
    )


async def record(
    connection: Connection, acting: Acting, act: Act, subject: object = None, **detail: Any
) -> None:
    """Write one act of an operator, in the transaction of its change if it has one.

    `detail` never holds a credential, a balance or an email address.
    """
    who = acting.operator
    said = {"operator_id": who.id, "operator": who.name, "address": acting.address}
    await _insert(connection, act, None if subject is None else str(subject), said, detail)


async def record_refused(connection: Connection, address: str | None, operator_id: UUID | None) -> None:
    """Record a refused token; `operator_id` is the id in the token, which may be unknown."""
    said = {"operator_id": operator_id, "operator": None, "address": address}
    await _insert(connection, Act.TOKEN_REFUSED, None, said, {})


async def _insert(
    connection: Connection, act: Act, subject: str | None, said: Mapping[str, Any], detail: dict[str, Any]
) -> None:
    await execute(
        connection,
        """insert into operator_acts (operator_id, operator, action, subject, address, detail)
           values (%(operator_id)s, %(operator)s, %(action)s, %(subject)s, %(address)s, %(detail)s)""",
        action=act,
        subject=subject,
        detail=Jsonb(detail),
        **said,
    )

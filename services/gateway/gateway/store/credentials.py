"""Credentials by id: pending, live, doomed; only the vault holds their fields."""

from datetime import datetime
from typing import Literal, LiteralString
from uuid import UUID

import msgspec

from gateway.store.clock import DatabaseTime
from gateway.store.pool import Connection, database_time, execute, fetch_all

# The longest duration of a store: 8 s for the broker's keys, 8 s until its deadline, 12 s that the broker
# adds for differing clocks, and 4.2 s to store and undo.
STORED_WITHIN_SECONDS = 33.0


class Doomed(msgspec.Struct, frozen=True):
    """A credential to be destroyed in the vault."""

    id: UUID
    user_id: UUID


async def insert_pending(
    connection: Connection, credential_id: UUID, user_id: UUID, exchange: str
) -> DatabaseTime:
    """Insert a pending credential before it is sent to the vault; returns the database's time."""
    await execute(
        connection,
        "insert into credentials (id, user_id, exchange) values (%(id)s, %(user_id)s, %(exchange)s)",
        id=credential_id,
        user_id=user_id,
        exchange=exchange,
    )
    return DatabaseTime.just(await database_time(connection))


async def insert_stand_in(connection: Connection, credential_id: UUID, user_id: UUID, exchange: str) -> None:
    """Insert a stand-in, which the vault does not hold, for an account whose secret is destroyed."""
    await execute(
        connection,
        """insert into credentials (id, user_id, exchange, state)
           values (%(id)s, %(user_id)s, %(exchange)s, 'live')""",
        id=credential_id,
        user_id=user_id,
        exchange=exchange,
    )


async def delete_stand_in(connection: Connection, credential_id: UUID) -> None:
    """Delete a stand-in; the vault holds nothing of it."""
    await execute(connection, "delete from credentials where id = %(id)s", id=credential_id)


async def set_live(connection: Connection, credential_id: UUID) -> bool:
    """Make a pending credential live from this moment; False if it was doomed meanwhile.

    While it was verified, the account was still synced with the key before.
    """
    return (
        await execute(
            connection,
            """update credentials set state = 'live', created_at = clock_timestamp()
               where id = %(id)s and state = 'pending'""",
            id=credential_id,
        )
        == 1
    )


async def doom(
    connection: Connection,
    credential_id: UUID,
    state: Literal["pending", "live"],
    not_before: datetime | None = None,
) -> None:
    """Doom a credential that is in `state`; it is destroyed at once, or not before `not_before`."""
    await execute(
        connection,
        """update credentials
           set state = 'doomed', destroy_at = coalesce(%(not_before)s::timestamptz, now())
           where id = %(id)s and state = %(state)s""",
        id=credential_id,
        state=state,
        not_before=not_before,
    )


async def doom_uncertain(connection: Connection, credential_id: UUID) -> None:
    """Doom a pending credential that the vault-broker may still be storing."""
    await _doom_uncertain(connection, "id = %(id)s", id=credential_id)


async def doom_pending_of(connection: Connection, user_id: UUID) -> None:
    """Doom all pending credentials of a user, which the vault-broker may still be storing."""
    await _doom_uncertain(connection, "user_id = %(user_id)s", user_id=user_id)


async def doom_abandoned(connection: Connection, grace_seconds: float) -> int:
    """Doom pending credentials that their gateway abandoned; returns how many."""
    abandoned = "created_at < now() - make_interval(secs => %(grace)s)"
    return await _doom_uncertain(connection, abandoned, grace=grace_seconds)


async def _doom_uncertain(connection: Connection, which: LiteralString, **values: object) -> int:
    """Doom pending credentials; they are destroyed when the vault-broker can no longer store them."""
    query: LiteralString = """update credentials
           set state = 'doomed',
               destroy_at = greatest(destroy_at, created_at + make_interval(secs => %(late)s))
           where state = 'pending' and """
    return await execute(connection, query + which, late=STORED_WITHIN_SECONDS, **values)


async def find_owners(connection: Connection, credential_ids: list[UUID]) -> dict[UUID, UUID]:
    """Return the users of credentials, including doomed ones that are not destroyed yet."""
    rows = await connection.execute(
        "select id, user_id from credentials where id = any(%s)", [credential_ids]
    )
    return {row[0]: row[1] for row in await rows.fetchall()}


async def take_doomed(connection: Connection, limit: int, pause_seconds: float) -> list[Doomed]:
    """Claim doomed credentials that are due, and postpone their next try."""
    return await fetch_all(
        connection,
        Doomed,
        """update credentials set destroy_at = now() + make_interval(secs => %(pause)s) where id in (
               select id from credentials where state = 'doomed' and destroy_at <= now()
               order by destroy_at limit %(limit)s for update skip locked)
           returning id, user_id""",
        limit=limit,
        pause=pause_seconds,
    )


async def delete_destroyed(connection: Connection, credential_id: UUID) -> bool:
    """Delete the row of a credential that the vault no longer holds."""
    return (
        await execute(
            connection, "delete from credentials where id = %(id)s and state = 'doomed'", id=credential_id
        )
        == 1
    )

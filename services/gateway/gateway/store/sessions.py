"""Sessions: each is a login, with a family of refresh tokens and their access tokens."""

from datetime import datetime
from uuid import UUID

import msgspec

from gateway.store.pool import Connection, execute, fetch_all, fetch_value


class Session(msgspec.Struct, frozen=True):
    """A login that has not ended; `network` is None if an earlier gateway version began it."""

    id: UUID
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    network: str | None


async def insert_network(connection: Connection, session_id: UUID, network: str) -> None:
    """Store the network of a login for as long as the login is kept."""
    await execute(
        connection,
        "insert into session_networks (family_id, network) values (%(id)s, %(network)s)",
        id=session_id,
        network=network,
    )


async def list_sessions(connection: Connection, user_id: UUID, current_id: UUID, limit: int) -> list[Session]:
    """List a user's sessions: the current one, then the most recently renewed."""
    return await fetch_all(
        connection,
        Session,
        """select family.id, family.created_at, family.expires_at, network.network,
                  greatest(family.created_at, (select max(issued_at) from refresh_tokens token
                                               where token.family_id = family.id)) as last_used_at
           from refresh_families family left join session_networks network on network.family_id = family.id
           where family.user_id = %(user_id)s and family.revoked_at is null and family.expires_at > now()
           order by family.id = %(current_id)s desc, last_used_at desc, family.id limit %(limit)s""",
        user_id=user_id,
        current_id=current_id,
        limit=limit,
    )


async def end(connection: Connection, user_id: UUID, session_id: UUID) -> bool:
    """End a session of a user; False if it does not exist or has ended."""
    ended = await execute(
        connection,
        """update refresh_families set revoked_at = now()
           where id = %(id)s and user_id = %(user_id)s and revoked_at is null and expires_at > now()""",
        id=session_id,
        user_id=user_id,
    )
    return ended == 1


async def end_others(connection: Connection, user_id: UUID, kept_id: UUID) -> int:
    """End all sessions of a user except one; returns how many."""
    return await execute(
        connection,
        """update refresh_families set revoked_at = now()
           where user_id = %(user_id)s and id <> %(kept_id)s and revoked_at is null""",
        user_id=user_id,
        kept_id=kept_id,
    )


async def end_all(connection: Connection, user_id: UUID) -> int:
    """End all sessions of a user; returns how many."""
    return await execute(
        connection,
        """update refresh_families set revoked_at = now()
           where user_id = %(user_id)s and revoked_at is null and expires_at > now()""",
        user_id=user_id,
    )


async def count_open(connection: Connection, user_id: UUID) -> int:
    """Count the sessions of a user that have not ended."""
    number: int = await fetch_value(
        connection,
        """select count(*) from refresh_families
           where user_id = %(user_id)s and revoked_at is null and expires_at > now()""",
        user_id=user_id,
    )
    return number


async def delete_all(connection: Connection, user_id: UUID) -> None:
    """Delete the sessions of a user: the tokens first, in the lock order of a refresh."""
    await execute(
        connection,
        """delete from refresh_tokens where family_id in
               (select id from refresh_families where user_id = %(user_id)s)""",
        user_id=user_id,
    )
    await execute(connection, "delete from refresh_families where user_id = %(user_id)s", user_id=user_id)

"""Networks from which users have signed in, stored as hashes."""

import hashlib
from uuid import UUID

from gateway.store.pool import Connection, execute

MOST_PER_USER = 32


async def is_known(connection: Connection, email: str, network: str) -> bool:
    """Return whether a user signed in from a network before; the query is the same for an unknown email."""
    rows = await connection.execute(
        """select 1 from known_networks known join users on users.id = known.user_id
           where users.email = %s
             and known.network_hash = sha256(convert_to(users.id::text || %s, 'UTF8'))""",
        [email, network],
    )
    return await rows.fetchone() is not None


async def remember(connection: Connection, user_id: UUID, network: str) -> None:
    """Store that a user signed in from a network; only the newest 32 of a user are kept."""
    await execute(
        connection,
        """insert into known_networks (user_id, network_hash) values (%(user_id)s, %(hash)s)
           on conflict (user_id, network_hash) do update set signed_in_at = now()""",
        user_id=user_id,
        hash=_hash(user_id, network),
    )
    await execute(
        connection,
        """delete from known_networks where user_id = %(user_id)s and network_hash in (
               select network_hash from known_networks where user_id = %(user_id)s
               order by signed_in_at desc offset %(most)s)""",
        user_id=user_id,
        most=MOST_PER_USER,
    )


async def forget_others(connection: Connection, user_id: UUID, kept: str) -> None:
    """Delete the networks of a user except one."""
    await execute(
        connection,
        "delete from known_networks where user_id = %(user_id)s and network_hash <> %(kept)s",
        user_id=user_id,
        kept=_hash(user_id, kept),
    )


async def forget_all(connection: Connection, user_id: UUID) -> None:
    """Delete the networks of a user."""
    await execute(connection, "delete from known_networks where user_id = %(user_id)s", user_id=user_id)


def _hash(user_id: UUID, network: str) -> bytes:
    return hashlib.sha256(f"{user_id}{network}".encode()).digest()

"""What idempotency keys were used for, kept for 24 hours."""

from typing import Any
from uuid import UUID

import msgspec

from gateway.store.pool import Connection, execute, fetch_one


class IdempotencyKey(msgspec.Struct, frozen=True):
    """What a key was first used for: `target_id` is the sync or the batch."""

    fingerprint: str
    target_id: UUID


async def claim(
    connection: Connection, user_id: UUID, key: str, fingerprint: str, target_id: UUID
) -> IdempotencyKey | None:
    """Take a key for a target; gives what it was first used for when it is taken.

    A second request with the key waits here until the first one's transaction is over.
    """
    claimed: dict[str, Any] = {
        "user_id": user_id,
        "key": key,
        "fingerprint": fingerprint,
        "target_id": target_id,
    }
    inserted = await execute(
        connection,
        """insert into idempotency_keys (user_id, key, fingerprint, target_id)
           values (%(user_id)s, %(key)s, %(fingerprint)s, %(target_id)s) on conflict do nothing""",
        **claimed,
    )
    if inserted:
        return None
    return await fetch_one(
        connection,
        IdempotencyKey,
        "select fingerprint, target_id from idempotency_keys where user_id = %(user_id)s and key = %(key)s",
        user_id=user_id,
        key=key,
    )


async def point(connection: Connection, user_id: UUID, key: str, target_id: UUID) -> None:
    """Point a key at the open sync that was joined instead of a new one."""
    await execute(
        connection,
        "update idempotency_keys set target_id = %(target_id)s where user_id = %(user_id)s and key = %(key)s",
        target_id=target_id,
        user_id=user_id,
        key=key,
    )


async def delete_old(connection: Connection, limit: int) -> int:
    """Forget keys after 24 hours; gives how many, at most the limit."""
    return await execute(
        connection,
        """delete from idempotency_keys where (user_id, key) in (
               select user_id, key from idempotency_keys where created_at < now() - interval '24 hours'
               limit %(limit)s for update skip locked)""",
        limit=limit,
    )

"""Idempotency keys and their first use, kept for 24 hours."""

from uuid import UUID

import msgspec

from gateway.store.pool import Connection, execute, fetch_one


class IdempotencyKey(msgspec.Struct, frozen=True):
    """The first use of a key; `target_id` is the sync or the batch."""

    fingerprint: str
    target_id: UUID


async def claim(
    connection: Connection, user_id: UUID, key: str, fingerprint: str, target_id: UUID
) -> IdempotencyKey | None:
    """Claim a key for a target; returns its first use if it is already claimed.

    A second request with the key waits until the first one's transaction has ended.
    """
    inserted = await execute(
        connection,
        """insert into idempotency_keys (user_id, key, fingerprint, target_id)
           values (%(user_id)s, %(key)s, %(fingerprint)s, %(target_id)s) on conflict do nothing""",
        user_id=user_id,
        key=key,
        fingerprint=fingerprint,
        target_id=target_id,
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
    """Set the target of a key to the open sync that was joined instead of a new one."""
    await execute(
        connection,
        "update idempotency_keys set target_id = %(target_id)s where user_id = %(user_id)s and key = %(key)s",
        target_id=target_id,
        user_id=user_id,
        key=key,
    )

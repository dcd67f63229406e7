"""Batches of syncs, which a user began together."""

from uuid import UUID

from gateway.rows.syncs import Sync
from gateway.store.pool import Connection, execute, fetch_all
from gateway.store.syncs import SHOWN


async def insert_batch(connection: Connection, batch_id: UUID, user_id: UUID, sync_ids: list[UUID]) -> None:
    """Insert a batch of new and joined syncs."""
    await execute(
        connection,
        "insert into sync_batches (id, user_id) values (%(id)s, %(user_id)s)",
        id=batch_id,
        user_id=user_id,
    )
    await execute(
        connection,
        "insert into sync_batch_members (batch_id, sync_id) select %(id)s, unnest(%(sync_ids)s::uuid[])",
        id=batch_id,
        sync_ids=sync_ids,
    )


async def find_batch(connection: Connection, user_id: UUID, batch_id: UUID) -> list[Sync] | None:
    """Return the syncs of a user's batch, oldest first; None if the batch does not exist."""
    found = await connection.execute(
        "select 1 from sync_batches where id = %s and user_id = %s", [batch_id, user_id]
    )
    if await found.fetchone() is None:
        return None
    return await fetch_all(
        connection,
        Sync,
        SHOWN
        + """ join sync_batch_members member on member.sync_id = syncs.id
           where member.batch_id = %(id)s order by syncs.account_id""",
        id=batch_id,
    )

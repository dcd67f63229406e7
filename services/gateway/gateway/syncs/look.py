"""Looking up a user's syncs and the states of their accounts, as of one moment."""

from datetime import UTC, date, timedelta
from uuid import UUID

import msgspec

from contracts.syncs import Cause
from gateway.accounts.look import owned
from gateway.errors import InvalidInput, NotFound
from gateway.rows.pauses import Stand
from gateway.rows.syncs import Sync, SyncDay
from gateway.store import batches, pauses, retention, syncs
from gateway.store.pool import Pool, database_time

MOST_DAYS = 366
DAYS = timedelta(days=90)


class Page(msgspec.Struct, frozen=True):
    """Syncs of an account, newest first, and the account's state; `more` is true if older syncs exist."""

    syncs: list[Sync]
    stand: Stand
    more: bool


class Asked(msgspec.Struct, frozen=True):
    """Which syncs of an account to list: from the cursor on, at most so many, of one cause or of all."""

    cursor: UUID | None = None
    most: int = 20
    cause: Cause | None = None


async def find_sync(pool: Pool, user_id: UUID, sync_id: UUID) -> tuple[Sync, Stand]:
    """Find a sync of a user, and the state of its account; raises NotFound."""
    found = await pool.single(lambda connection: syncs.find_with_stand(connection, user_id, sync_id))
    if found is None:
        raise NotFound
    return found


async def find_batch(pool: Pool, user_id: UUID, batch_id: UUID) -> tuple[list[Sync], dict[UUID, Stand]]:
    """Find the syncs of a batch, and the states of their accounts; raises NotFound."""
    async with pool.transaction(snapshot=True) as connection:
        found = await batches.find_batch(connection, user_id, batch_id)
        if found is None:
            raise NotFound
        return found, await pauses.find_stands(connection, [sync.account_id for sync in found])


async def list_syncs(pool: Pool, user_id: UUID, account_id: UUID, asked: Asked) -> Page:
    """List the syncs of an account.

    Raises NotFound, and InvalidInput for a cursor that is not a sync of the account.
    """
    async with pool.transaction(snapshot=True) as connection:
        await owned(connection, user_id, account_id)
        if asked.cursor is not None:
            last = await syncs.find_sync(connection, user_id, asked.cursor)
            if last is None or last.account_id != account_id:
                raise InvalidInput(
                    "This cursor is not from a page of this account: begin again without a cursor."
                )
        listed = await syncs.list_syncs(connection, account_id, asked.cursor, asked.most + 1, asked.cause)
        stand = (await pauses.find_stands(connection, [account_id]))[account_id]
    return Page(listed[: asked.most], stand, len(listed) > asked.most)


async def list_days(
    pool: Pool, user_id: UUID, account_id: UUID, first: date | None, last: date | None
) -> list[SyncDay]:
    """List how many syncs of an account ended on each day, by default on the last 90 ones.

    Raises NotFound, and InvalidInput for a range that is empty or too long.
    """
    async with pool.transaction(snapshot=True) as connection:
        await owned(connection, user_id, account_id)
        last = last or (await database_time(connection)).astimezone(UTC).date()
        first = first or max(last, date.min + DAYS) - DAYS
        if not timedelta(0) <= last - first < timedelta(days=MOST_DAYS):
            raise InvalidInput(
                f"Ask for a range of 1 to {MOST_DAYS} days: `from` is the first one, `to` the last."
            )
        return await retention.list_days(connection, account_id, first, last)

"""Housekeeping: deletes what has expired in small batches, thins snapshots, and adds partitions ahead."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from uuid import UUID

import structlog

from gateway.portfolio.grid import DAY, HOUR
from gateway.portfolio.thinning import stretch, thinned
from gateway.store import retention, thinning
from gateway.store.background import attempt, repeat
from gateway.store.expiry import EXPIRIES, delete_expired
from gateway.store.pool import Connection, Pool

SECONDS = 15.0
BATCH, BATCHES = 500, 40
# Each is due once a day: one gateway keeps up with 500,000.
ACCOUNTS = 100
# As many accounts may fail in one turn; they are tried again in the next one.
MOST_FAILED = 10
# A statement that deletes more contents may not end in time.
MOST_BEGUN = 1000

log = structlog.get_logger()

Delete = Callable[[Connection, int], Awaitable[int]]
# Each deletes at most so many rows, and returns how many.
DELETIONS: Mapping[str, Delete] = {
    **{table: partial(delete_expired, table=table) for table in EXPIRIES},
    "sync_batches": retention.delete_old_batches,
    "syncs": retention.delete_old_syncs,
}
PARTITIONS = {"partition_added": retention.add_partition, "partition_dropped": retention.drop_partition}


class Housekeeper:
    """Runs every 15 seconds; any number of gateways may run it at once.

    One turn deletes at most 20,000 rows of a table. An hourly sync of 100,000 accounts is 28 rows a second.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def run(self) -> None:
        """Keep house for ever."""
        await repeat("housekeeping", self.keep, asyncio.sleep, SECONDS)

    async def keep(self) -> None:
        """Run each deletion; a failed one does not stop the others."""
        for table, delete in DELETIONS.items():
            await attempt("housekeeping", self._delete(delete), part=table)
        await self._thin_due()
        for name, divide in PARTITIONS.items():
            await attempt("housekeeping", self._divide(name, divide), part=name)

    async def _divide(self, name: str, divide: Callable[[Connection], Awaitable[str | None]]) -> None:
        """Add or drop partitions one by one, so that each locks its table alone."""
        for _ in range(BATCHES):
            done = await self._pool.single(divide, waits=True)
            if done is None:
                return
            log.info(name, partition=done)

    async def _delete(self, delete: Delete) -> None:
        for _ in range(BATCHES):
            deleted = await self._pool.single(lambda one: delete(one, BATCH), waits=True)
            if deleted < BATCH:
                return

    async def _thin_due(self) -> None:
        """Thin the snapshots of accounts that are due; one that fails stops no other."""
        failed: list[UUID] = []
        for tries in range(MOST_FAILED):
            done = await attempt("housekeeping", self._thin_all(failed), part="snapshots")
            if done or len(failed) == tries:
                return
            log.error("account_not_thinned", account_id=failed[-1])

    async def _thin_all(self, failed: list[UUID]) -> None:
        """Thin accounts, each in a short transaction; adds one that fails to `failed` before it raises."""
        for _ in range(ACCOUNTS):
            async with self._pool.transaction() as connection:
                if not await thin(connection, failed):
                    return
            failed.pop()


async def thin(connection: Connection, failed: list[UUID]) -> bool:
    """Thin a day of an account that is due, or an hour of one that changed very often.

    Each hour keeps one snapshot. Leaves out those that `failed`, and adds the account to them until its
    transaction has ended. Returns whether there was one.
    """
    due = await thinning.claim(connection, failed)
    if due is None:
        return False
    failed.append(due.account_id)
    first, last = stretch(due.until, due.settled)
    if last > first:
        times = await thinning.list_beginnings(connection, due.account_id, first, last)
        if len(times) > MOST_BEGUN:
            last = first + HOUR
            times = await thinning.list_beginnings(connection, due.account_id, first, last)
        found = thinned(times, first, last)
        if found.gone:
            await thinning.delete(connection, due.account_id, found.gone)
            await thinning.mark(connection, due.account_id, found.changed)
    is_behind = first < last and last + DAY < due.settled
    await thinning.advance(connection, due.account_id, last, is_behind=is_behind)
    return True

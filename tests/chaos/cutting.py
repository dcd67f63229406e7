"""Cuts a gateway's transaction at an exact point: it waits there until the test lets it go on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from deploy.database.roles import Connection
from deploy.local.postgres import SUPERUSER
from gateway.outbox.relay import LEASE_SECONDS
from tests.chaos.parts import World
from tests.waiting import until

# The first keys of the advisory locks; the second one is the number of rows in the transaction.
LOCKS, GATHERING = 2711, 2712
MOST_ROWS = 64


class Point(msgspec.Struct, frozen=True):
    """A point of transactions with at least so many rows: a trigger, and the query that counts these rows.

    If `gathers`, those with fewer rows wait there too, until more rows have gathered for the next ones.
    """

    trigger: str
    rows: str
    least: int = 2
    gathers: bool = True


OF_THIS_TRANSACTION = "select count(*) from syncs where xmin = pg_current_xact_id()::xid"
# A deferred trigger runs in the commit, after the last statement.
RECORDED = Point(
    """create constraint trigger cut after update of status on syncs deferrable initially deferred
       for each row execute function cut()""",
    OF_THIS_TRANSACTION,
)
CLAIMED = Point(
    """create constraint trigger cut after update of attempts on outbox deferrable initially deferred
       for each row execute function cut()""",
    "select count(*) from outbox where xmin = pg_current_xact_id()::xid",
)
OPENED = Point(
    """create constraint trigger cut after insert on syncs deferrable initially deferred
       for each row execute function cut()""",
    OF_THIS_TRANSACTION,
    gathers=False,
)


def accepted_except(account: str) -> Point:
    """Return the commit of each accepted request for another account than this one."""
    return Point(
        f"""create constraint trigger cut after insert on syncs deferrable initially deferred
            for each row when (new.account_id <> '{account}') execute function cut()""",
        "select 1",
        1,
    )


def deleted(stream: str) -> Point:
    """Return the deletion of messages that a stream has confirmed."""
    return Point(
        """create trigger cut after delete on outbox referencing old table as gone
           for each statement execute function cut()""",
        f"select count(*) from gone where stream = '{stream}'",  # noqa: S608 - a constant
    )


class Cut:
    """Transactions that wait at a point."""

    def __init__(self, keeper: Connection) -> None:
        self._keeper = keeper

    async def waiting(self) -> list[int]:
        """Return the number of rows of each transaction that waits."""
        rows = await self._keeper.execute(
            """select objid::integer from pg_locks
               where locktype = 'advisory' and classid = %s and not granted""",
            [LOCKS],
        )
        return [size for (size,) in await rows.fetchall() if isinstance(size, int)]

    async def gather(self) -> int:
        """Let smaller transactions go on, and return the number of rows in the larger ones that wait."""
        await self._keeper.execute("select pg_advisory_unlock(%s, 1)", [GATHERING])

        async def one_waits() -> bool:
            return bool(await self.waiting())

        await until(one_waits)
        return sum(await self.waiting())

    async def release(self) -> None:
        """Let all transactions go on."""
        await self._keeper.execute("select pg_advisory_unlock_all()")


@asynccontextmanager
async def cutting(world: World, point: Point) -> AsyncIterator[Cut]:
    """Let transactions wait at a point until the release, at the latest until the end of the block."""
    async with await world.parts.database.connect(SUPERUSER) as keeper:
        await keeper.execute(
            "select pg_advisory_lock(%s, rows) from generate_series(1, %s) rows", [LOCKS, MOST_ROWS]
        )
        await keeper.execute("select pg_advisory_lock(%s, 1)", [GATHERING])
        await keeper.execute(
            f"""create function cut() returns trigger language plpgsql security definer as $$
                declare size integer := ({point.rows});
                begin
                    if size >= {point.least} then
                        perform pg_advisory_xact_lock_shared({LOCKS}, size);
                    elsif size > 0 and {point.gathers} then
                        perform pg_advisory_xact_lock_shared({GATHERING}, 1);
                    end if;
                    return null;
                end $$""".encode()
        )
        await keeper.execute(point.trigger.encode())
        try:
            yield Cut(keeper)
        finally:
            await keeper.execute("select pg_advisory_unlock_all()")
            await keeper.execute("drop function cut() cascade")


async def lease_ends(world: World) -> None:
    """Let the time of each lease in the outbox pass."""
    await world.rows("update outbox set next_at = next_at - make_interval(secs => %s)", LEASE_SECONDS)

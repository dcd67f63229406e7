"""The oldest open transaction of the database, whoever opened it."""

import msgspec

from gateway.store.pool import Connection, fetch_one


class Horizon(msgspec.Struct, frozen=True):
    """Every transaction below `floor` has ended; `waiting` are the ids from there to the last that ended."""

    floor: int
    waiting: int


async def horizon(connection: Connection) -> Horizon:
    """Return the horizon of all transactions that write, also those of other roles and databases.

    The statistics of PostgreSQL show a role only its own transactions.
    """
    row = await fetch_one(
        connection,
        Horizon,
        """select pg_snapshot_xmin(now)::text::bigint as floor,
                  pg_snapshot_xmax(now)::text::bigint - pg_snapshot_xmin(now)::text::bigint as waiting
           from pg_current_snapshot() as now""",
    )
    assert row is not None  # noqa: S101 - the query has one row
    return row

"""Restores of the database from a backup.

A process reads the last one once a minute, because restores happen while all gateways are stopped.
"""

import time

from gateway.rows.restores import Restore
from gateway.store.pool import Connection, Pool, fetch_all, fetch_one

KEPT_SECONDS = 60.0


# More than any database has, in which case the newest count.
MOST = 100


async def list_restores(connection: Connection) -> list[Restore]:
    """List the restores of the database, newest first."""
    return await fetch_all(
        connection,
        Restore,
        """select restored_at, database_at from restores where database_at is not null
           order by id desc limit %(most)s""",
        most=MOST,
    )


class Restores:
    """Knows the last restore of the database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._last: Restore | None = None
        self._read_at: float | None = None

    async def last(self) -> Restore | None:
        """Return the last restore, None if there was none; raises DatabaseUnavailable, Overloaded."""
        if self._read_at is None or time.monotonic() - self._read_at > KEPT_SECONDS:
            async with self._pool.transaction() as connection:
                self._last = await fetch_one(
                    connection,
                    Restore,
                    """select restored_at, database_at from restores where database_at is not null
                       order by id desc limit 1""",
                )
            self._read_at = time.monotonic()
        return self._last

"""An uncommitted change of the database on which a gateway waits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from deploy.local.postgres import GATEWAY, SUPERUSER, Postgres
from tests.system.test_sweeper import run


class Change:
    """A change that is committed at the end of its block."""

    def __init__(self, database: Postgres) -> None:
        self._database = database

    async def keeps_waiting(self) -> bool:
        """Return whether a gateway waits for a lock."""
        waiting = "select 1 from pg_stat_activity where usename = %s and wait_event_type = 'Lock'"
        return bool(await run(self._database, waiting, GATEWAY))


@asynccontextmanager
async def changing(database: Postgres, statement: str) -> AsyncIterator[Change]:
    """Make a change in a transaction of its own."""
    async with await database.connect(SUPERUSER) as connection, connection.transaction():
        await connection.execute(statement.encode())
        yield Change(database)

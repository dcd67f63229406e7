"""The lock waits of the database, seen by a look every 10 ms from a connection of its own."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from deploy.database.roles import Connection
from deploy.local.postgres import SUPERUSER, Postgres
from tests.bench.report import first_words

LOOK_SECONDS = 0.01
LONG_MS = 20.0
COLUMNS = (
    "case",
    "statement that waits",
    "statement that holds",
    "lock",
    "waits",
    "over 20 ms",
    "longest ms",
)
# A look whose own answer came late sees a wait later, but the server's clock says how long it lasts.
WAITING = """
select waits.pid, waits.waitstart::text, waits.locktype, waiting.query,
       extract(epoch from clock_timestamp() - waits.waitstart)::float8 * 1000,
       coalesce((select concat_ws(': ', nullif(holding.state, 'active'), holding.query)
                 from pg_stat_activity holding
                 where holding.pid = any(pg_blocking_pids(waits.pid)) limit 1), '-')
from pg_locks waits join pg_stat_activity waiting on waiting.pid = waits.pid
where not waits.granted and waits.waitstart is not null
"""
Key = tuple[str, str, str]


@dataclass(slots=True)
class Waits:
    """Seen lock waits: the ms that each lasted at its last look, by its process and beginning."""

    lasted: dict[tuple[int, str], float] = field(default_factory=dict)
    kinds: dict[tuple[int, str], Key] = field(default_factory=dict)
    looks: int = 0

    def rows(self, case: str) -> Iterable[tuple[str, ...]]:
        """Return a row for each kind of wait, the longest first."""
        of_kind: defaultdict[Key, list[float]] = defaultdict(list)
        for wait, lasted in self.lasted.items():
            of_kind[self.kinds[wait]].append(lasted)
        for kind, times in sorted(of_kind.items(), key=lambda named: -max(named[1])):
            over = sum(each > LONG_MS for each in times)
            yield (case, *kind, str(len(times)), str(over), f"{max(times):.1f}")
        if not of_kind:
            yield (case, "none", "-", "-", "0", "0", "-")

    async def look(self, connection: Connection) -> None:
        """Note the waits of this moment."""
        cursor = await connection.execute(WAITING)
        self.looks += 1
        for pid, began, lock, waiting, lasted, holding in await cursor.fetchall():
            wait = (int(str(pid)), str(began))
            self.lasted[wait] = float(str(lasted))
            self.kinds.setdefault(wait, (first_words(str(waiting)), first_words(str(holding)), str(lock)))


@asynccontextmanager
async def watched(database: Postgres, waits: Waits) -> AsyncIterator[None]:
    """Look meanwhile."""
    async with await database.connect(SUPERUSER) as connection:

        async def look() -> None:
            while True:
                await asyncio.gather(waits.look(connection), asyncio.sleep(LOOK_SECONDS))

        looking = asyncio.create_task(look())
        try:
            yield
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking

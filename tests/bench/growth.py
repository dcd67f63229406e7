"""Growth: the speed and the cost of syncs beside more and more accounts with a history."""

import argparse
import asyncio
from collections.abc import Mapping
from pathlib import Path

from psycopg import AsyncClientCursor

from deploy.local.postgres import SUPERUSER, Postgres
from tests.bench.measuring import Measured
from tests.bench.plans import plans
from tests.bench.report import Report, median_of, middle, ratio
from tests.bench.stacks import Bench
from tests.bench.whole_job import OURS, run

FILL = Path(__file__).with_suffix(".sql")
CLIENTS = 128
# Until idle connections have told the server their counts.
STATISTICS_SECONDS = 3
SCANNED = """
select relname, coalesce(seq_scan, 0), coalesce(seq_tup_read, 0) from pg_stat_user_tables order by relname
"""
COLUMNS = (
    *("accounts", "syncs kept", "syncs/s", "p99 ms", "CPU ms/sync", "CPU to first", "programs ms"),
    *("PostgreSQL ms", "gateway RSS MiB", "PostgreSQL PSS MiB", "database MiB"),
)
SCAN_COLUMNS = ("accounts", "table", "full scans per sync", "rows read by them per sync")
Scans = dict[str, tuple[int, int]]


async def growth(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """Fill the database step by step, and measure after each step; this stack is thrown away."""
    database, kept = bench.stack.parts.database, len(bench.names)
    await run(bench, OURS, clients=CLIENTS, seconds=1)
    rows: list[tuple[str, ...]] = []
    scans: list[tuple[str, ...]] = []
    first = 0.0
    for accounts in options.growth:
        if accounts > kept:
            await _fill(database, kept + 1, accounts, options.history)
            kept = accounts
        before = await _scans(database)
        measured = [
            await run(bench, OURS, clients=CLIENTS, seconds=options.seconds)
            for _ in range(options.repetitions)
        ]
        await asyncio.sleep(STATISTICS_SECONDS)
        after, cost = await _scans(database), median_of(each.machine for each in measured)
        first = first or cost
        syncs, size = await _size(database)
        rows.append((str(kept), str(syncs), *_row(measured), ratio(cost, first), *_parts(measured), size))
        total = sum(each.answers for each in measured)
        scans += [(str(kept), *each) for each in _read(before, after, total)]
    report.table("Growth", COLUMNS, rows)
    report.table("Full scans that read more than ten rows for each sync", SCAN_COLUMNS, scans)
    await plans(bench, options, report)


def _row(measured: list[Measured]) -> tuple[str, ...]:
    return (
        middle((each.per_second for each in measured), 0),
        middle(each.p99 for each in measured),
        middle((each.machine for each in measured), 2),
    )


def _parts(measured: list[Measured]) -> tuple[str, ...]:
    return (
        middle((sum(each.groups.values()) for each in measured), 2),
        middle((each.groups["postgres"] for each in measured), 2),
        middle((each.memory["gateway"].rss for each in measured), 0),
        middle((each.memory["postgres"].pss for each in measured), 0),
    )


def _read(
    before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]], syncs: int
) -> list[tuple[str, str, str]]:
    """Return the tables of which full scans read more than a few rows for each sync."""
    found = []
    for table, (scans, rows) in after.items():
        earlier = before.get(table, (0, 0))
        per_sync = (rows - earlier[1]) / max(1, syncs)
        if per_sync > 10:
            found.append((table, f"{(scans - earlier[0]) / max(1, syncs):.3f}", f"{per_sync:.0f}"))
    return found


async def _fill(database: Postgres, first: int, last: int, history: int) -> None:
    async with await database.connect(SUPERUSER) as connection:
        cursor = AsyncClientCursor(connection)
        await cursor.execute(FILL.read_bytes(), {"first": first, "last": last, "history": history})
        await connection.execute("vacuum (analyze)")
        await connection.execute("checkpoint")


async def _scans(database: Postgres) -> Scans:
    async with await database.connect(SUPERUSER) as connection:
        cursor = await connection.execute(SCANNED)
        found = [tuple(map(str, row)) for row in await cursor.fetchall()]
        return {table: (int(scans), int(rows)) for table, scans, rows in found}


async def _size(database: Postgres) -> tuple[int, str]:
    """Return the number of syncs, and the MiB of the database."""
    async with await database.connect(SUPERUSER) as connection:
        cursor = await connection.execute(
            "select (select count(*) from syncs), pg_database_size(current_database()) / 1048576"
        )
        syncs, size = map(str, (await cursor.fetchall())[0])
        return int(syncs), size

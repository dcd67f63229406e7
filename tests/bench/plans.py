"""The plans of all statements that the gateway runs while clients sync, as auto_explain logs them."""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from deploy.local.postgres import DATABASE, GATEWAY, SUPERUSER, Postgres
from deploy.local.services import programs, until_ready
from tests.bench.report import Report, first_words
from tests.bench.stacks import Bench
from tests.bench.whole_job import OURS, run

CLIENTS = 128
MOST_SECONDS = 5.0
# A sequential scan of a table with more rows than this is one that grows.
SMALL_ROWS = 1000
SETTINGS = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_format": "json",
    "auto_explain.log_analyze": "off",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_parameter_max_length": "0",
}
ROWS = "select relname, greatest(reltuples, 0)::bigint from pg_class where relkind = 'r'"
SYNCS = "select 'ended', count(*) from syncs where finished_at is not null"
BY_INDEX = {"Index Scan", "Index Only Scan", "Bitmap Index Scan"}
COLUMNS = ("statement", "tables", "runs per sync", "indexes", "sequential scans")


@dataclass(slots=True)
class Statement:
    """A statement as its plans show it: its tables, its indexes, and most rows planned for a whole scan."""

    runs: int = 0
    tables: dict[str, None] = field(default_factory=dict)
    indexes: dict[str, None] = field(default_factory=dict)
    whole: dict[str, int] = field(default_factory=dict)

    def add(self, node: Mapping[str, Any]) -> None:
        """Note a node of a plan and those below it."""
        kind, table = node["Node Type"], node.get("Relation Name")
        if table is not None:
            self.tables[table] = None
        if kind in BY_INDEX:
            self.indexes[node["Index Name"]] = None
        if kind == "Seq Scan":
            self.whole[node["Relation Name"]] = max(self.whole.get(table or "", 0), int(node["Plan Rows"]))
        for below in node.get("Plans", ()):
            self.add(below)


async def plans(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """Restart the gateway with logged plans, let clients sync for seconds, and report each statement."""
    database, processes = bench.stack.parts.database, bench.stack.processes
    await _log_plans(database)
    log = processes.logs / "postgres.log"
    begin, before = log.stat().st_size, (await _counts(database, SYNCS))["ended"]
    listed = {each.name: each for each in programs(bench.stack.parts, bench.stack.ports, processes.way)}
    await processes.restart(listed["gateway"])
    await until_ready(processes, bench.stack.ports, "gateway")
    bench.groups.renew()
    await run(bench, OURS, clients=min(CLIENTS, len(bench.names)), seconds=min(options.seconds, MOST_SECONDS))
    syncs = (await _counts(database, SYNCS))["ended"] - before
    with log.open("rb") as file:
        file.seek(begin)
        statements = found(file.read().decode(errors="replace"))
    rows = await _counts(database, ROWS)
    report.table(f"Statements of the gateway, in {syncs} syncs", COLUMNS, _rows(statements, rows, syncs))
    growing = Counter(table for each in statements.values() for table in _growing(each, rows))
    told = ", ".join(f"{table} in {count} statements" for table, count in growing.items())
    report.say(f"\nSequential scans of tables with more than {SMALL_ROWS} rows: {told or 'none'}.")


def found(log: str) -> dict[str, Statement]:
    """Return the statements of a log by their text in one line."""
    statements: dict[str, Statement] = {}
    for entry in _entries(log):
        one = statements.setdefault(" ".join(entry["Query Text"].split()), Statement())
        one.runs += 1
        one.add(entry["Plan"])
    return statements


def _entries(log: str) -> Iterator[Mapping[str, Any]]:
    """Yield the logged plans; one that a cut log ends within is left out."""
    decoder = json.JSONDecoder()
    for part in log.split("  plan:\n")[1:]:
        # The server begins each further line of an entry with a tab.
        text = part.replace("\n\t", "\n").lstrip()
        try:
            yield decoder.raw_decode(text)[0]
        except json.JSONDecodeError:
            continue


def _growing(statement: Statement, rows: Mapping[str, int]) -> list[str]:
    return [table for table in statement.whole if rows.get(table, 0) > SMALL_ROWS]


def _rows(
    statements: Mapping[str, Statement], rows: Mapping[str, int], syncs: int
) -> Iterable[Sequence[str]]:
    for text, each in sorted(statements.items(), key=lambda named: -named[1].runs):
        whole = (f"{table} ({planned} of {rows.get(table, 0)} rows)" for table, planned in each.whole.items())
        yield (
            first_words(text) or "(of a function)",
            ", ".join(each.tables) or "-",
            f"{each.runs / max(1, syncs):.4f}",
            ", ".join(each.indexes) or "-",
            ", ".join(whole) or "-",
        )


async def _log_plans(database: Postgres) -> None:
    """Have the server log the plans of each new connection of the gateway to its database."""
    setting = sql.SQL("alter role {} in database {} set {} to {}")
    async with await database.connect(SUPERUSER) as connection:
        for name, value in SETTINGS.items():
            # A dot separates the two parts of the name.
            written = sql.SQL(".").join(map(sql.Identifier, name.split(".")))
            await connection.execute(
                setting.format(sql.Identifier(GATEWAY), sql.Identifier(DATABASE), written, sql.Literal(value))
            )


async def _counts(database: Postgres, query: str) -> dict[str, int]:
    async with await database.connect(SUPERUSER) as connection:
        cursor = await connection.execute(query.encode())
        return {str(name): int(str(count)) for name, count in await cursor.fetchall()}

"""The schedule: accounts that are due at an even rate, at an exchange that takes its time for each answer."""

import argparse
import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from deploy.local.postgres import Postgres
from tests.bench.asking import UNSCHEDULED, asked
from tests.bench.report import Report, middle
from tests.bench.stacks import SERVERS, SERVICES, Bench
from tests.bench.usage import Memory, Sample

LATENCY_SECONDS = 0.1
WARM_SECONDS = 20.0
LOOK_SECONDS = 1.0
OURS = (*SERVICES, *(each for each in SERVERS if each != "rival-redis"))
# The first due times are spread over the interval.
ON = """update schedule set interval_seconds = %(interval)s,
    next_at = now() + %(interval)s * random() * interval '1 second'
    where account_id in (select id from accounts where name like 'bench-%%')"""
OVERDUE = """select coalesce(extract(epoch from now() - min(next_at)), 0)::float8 from schedule
    where exchange = 'okx' and next_at <= now()"""
DONE = """select status, (extract(epoch from finished_at - requested_at) * 1000)::float8
    from syncs join scheduled_syncs on sync_id = syncs.id
    where requested_at between %(first)s and %(last)s and status <> 'queued'"""
SIZES = """select relname, pg_total_relation_size(relid) / 1024,
    coalesce(n_live_tup, 0), coalesce(n_dead_tup, 0)
    from pg_stat_user_tables
    where relname in ('schedule', 'scheduled_syncs', 'syncs', 'audit', 'outbox') order by relname"""
COLUMNS = (
    *("accounts", "interval s", "wanted/s", "syncs/s", "not completed"),
    *("longest due s", "its greatest s", "opened to recorded ms", "its p99 ms", "machine, cores"),
)
PROCESS_COLUMNS = ("process", "CPU ms per sync", "share of one core", "RSS MiB")
SIZE_COLUMNS = ("table", "KiB before", "KiB after", "rows after", "dead rows after")
Sizes = dict[str, tuple[int, int, int]]


class Run(msgspec.Struct, frozen=True):
    """A run: its seconds, how late the schedule was at each look, and the syncs of it with their ms."""

    seconds: float
    overdue: list[float]
    syncs: list[tuple[str, float]]
    machine: float
    groups: Mapping[str, float]
    memory: Mapping[str, Memory]

    @property
    def completed(self) -> list[float]:
        """Return the ms from opened to recorded of the completed syncs."""
        return sorted(ms for status, ms in self.syncs if status == "completed")


async def schedule(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """Run the schedule for the time asked for, and report its lag, cost and tables."""
    database = bench.stack.parts.database
    interval = max(1, round(len(bench.names) / options.scheduled_rate))
    await bench.exchange_takes(LATENCY_SECONDS)
    with bench.only(SERVICES):
        await asked(database, ON, interval=interval)
        try:
            await asyncio.sleep(WARM_SECONDS)
            before = await _sizes(database)
            run = await _run(bench, options.scheduled_seconds)
            after = await _sizes(database)
        finally:
            await asked(database, UNSCHEDULED)
    await bench.exchange_takes(0)
    report.table("Schedule", COLUMNS, [_row(run, len(bench.names), interval)])
    report.table("Schedule, by process", PROCESS_COLUMNS, _by_process(run))
    report.table("Schedule, tables", SIZE_COLUMNS, _grown(before, after))


async def _run(bench: Bench, seconds: float) -> Run:
    database, overdue = bench.stack.parts.database, list[float]()
    ((first,),) = await asked(database, "select now()")
    before = bench.groups.sample()
    for _ in range(int(seconds / LOOK_SECONDS)):
        ((waited,),) = await asked(database, OVERDUE)
        overdue.append(float(waited))
        await asyncio.sleep(LOOK_SECONDS)
    after, memory = bench.groups.sample(), bench.groups.memory()
    ((last,),) = await asked(database, "select now()")
    syncs = await asked(database, DONE, first=first, last=last)
    return Run(
        after.at - before.at,
        overdue,
        [(str(status), float(ms)) for status, ms in syncs],
        after.machine - before.machine,
        {name: _used(before, after, name) for name in OURS},
        memory,
    )


def _used(before: Sample, after: Sample, name: str) -> float:
    return after.groups[name] - before.groups[name]


async def _sizes(database: Postgres) -> Sizes:
    return {
        name: (int(size), int(live), int(dead)) for name, size, live, dead in await asked(database, SIZES)
    }


def _row(run: Run, accounts: int, interval: int) -> Sequence[str]:
    completed, overdue = run.completed or [0.0], sorted(run.overdue) or [0.0]
    return (
        str(accounts),
        str(interval),
        f"{accounts / interval:.1f}",
        f"{len(run.completed) / run.seconds:.1f}",
        str(len(run.syncs) - len(run.completed)),
        middle([_of(overdue, 0.5)], 2),
        f"{overdue[-1]:.2f}",
        f"{_of(completed, 0.5):.0f}",
        f"{_of(completed, 0.99):.0f}",
        f"{run.machine / run.seconds:.2f}",
    )


def _of(values: Sequence[float], share: float) -> float:
    """Return the value below which so large a share of sorted values is."""
    return values[min(len(values) - 1, int(share * len(values)))]


def _by_process(run: Run) -> list[Sequence[str]]:
    each = 1000 / max(1, len(run.syncs))
    return [
        (name, f"{used * each:.2f}", f"{used / run.seconds:.1%}", f"{run.memory[name].rss:.0f}")
        for name, used in run.groups.items()
    ]


def _grown(before: Sizes, after: Sizes) -> list[Sequence[str]]:
    return [(name, str(before[name][0]), *(str(number) for number in after[name])) for name in after]

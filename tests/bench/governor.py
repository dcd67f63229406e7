"""Governor: the CPU that the counting of calls costs for each sync, without the calls themselves."""

import argparse
import asyncio
import math
import time

from sync_worker.budgets.governor import Governor
from sync_worker.budgets.shares import Share
from sync_worker.budgets.tables import tables
from sync_worker.exchanges.okx.connector import ALL_READS
from sync_worker.settings import Ceiling
from tests.bench.report import Report, middle
from tests.bench.stacks import Bench

SYNCS = 2000
MICROSECONDS = 1_000_000
# So many calls in a window that none waits.
WIDE = Ceiling(1_000_000, 0.001)
READS = [read.name for read in ALL_READS]
COLUMNS = ("calls", "CPU µs per sync of eleven reads", "CPU µs per call")


async def governor(_bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """Measure syncs without a limit of all calls, as by default, with one that suffices, and with a queue."""
    cases = {
        "without a limit": (_syncs, None),
        "within a limit": (_syncs, WIDE),
        "each after a wait": (_waiting, WIDE),
    }
    rows = []
    for name, (measure, ceiling) in cases.items():
        found = [await measure(governed(ceiling)) * MICROSECONDS / SYNCS for _ in range(options.repetitions)]
        rows.append((name, middle(found, 1), middle((each / len(READS) for each in found), 2)))
    report.table("Governor", COLUMNS, rows)


def governed(ceiling: Ceiling | None) -> Governor:
    """Return a governor of one worker that has the whole budget."""
    made = Governor(tables({"okx": ceiling} if ceiling else {}))
    if ceiling is not None:
        made.apply("okx", {"address": Share(ceiling.calls, ceiling.calls)}, math.inf)
    return made


async def _syncs(made: Governor) -> float:
    """Return the CPU seconds of syncs whose calls take no time."""
    began = time.process_time()
    for _ in range(SYNCS):
        await made.require("okx", READS, 20.0)
        for read in READS:
            async with made.call("okx", read, 10.0):
                pass
    return time.process_time() - began


async def _waiting(made: Governor) -> float:
    """Return the CPU seconds of the same number of calls, of which a hundred wait at a time."""

    async def call(read: str) -> None:
        async with made.call("okx", read, 10.0):
            await asyncio.sleep(0)

    began = time.process_time()
    for _ in range(SYNCS * len(READS) // 100):
        made.pause("okx", "address", 0.0)
        await asyncio.gather(*(call(READS[number % len(READS)]) for number in range(100)))
    return time.process_time() - began

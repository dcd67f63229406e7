"""Measures the system beside a usual stack: `make bench ARGS='job reads --repetitions 3'`.

Without names it runs all benches. It asserts no time. docs/benchmarks.md explains the numbers.
"""

import argparse
import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from deploy.local import kernel
from deploy.local.confinement import ROOT
from deploy.local.processes import PartFailed
from tests.bench.added import added
from tests.bench.fetch.comparing import fetches
from tests.bench.governor import governor
from tests.bench.growth import growth
from tests.bench.history import history
from tests.bench.idle import idle
from tests.bench.profile import profile
from tests.bench.reads import reads
from tests.bench.report import Report
from tests.bench.rival.running import Shape
from tests.bench.scale import scale
from tests.bench.schedule import schedule
from tests.bench.stacks import WITHOUT_LIMITS, Bench, running_bench
from tests.bench.start import start
from tests.bench.whole_job import CONTENDERS, compare

# These have a stack of their own, which they fill.
GROWTH, HISTORY = "growth", "history"
Run = Callable[[Bench, argparse.Namespace, Report], Coroutine[Any, Any, object]]
# Not one of the benches that run without a name.
PROFILE = "profile"
BENCHES: dict[str, Run] = {
    "job": compare,
    "added": added,
    "reads": reads,
    "fetch": fetches,
    "scale": scale,
    "idle": idle,
    "governor": governor,
    "schedule": schedule,
    "start": start,
    PROFILE: profile,
}
ALL = (*(each for each in BENCHES if each != PROFILE), GROWTH, HISTORY)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=", description=__doc__)
    parser.add_argument(
        "benches", nargs="*", metavar="BENCH", help=f"of {', '.join(ALL)}, all by default; or {PROFILE}"
    )
    parser.add_argument("--output", type=Path, help="a file for the tables")
    parser.add_argument("--directory", type=Path, default=ROOT / "build" / "bench", help="data that is kept")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement, beside 2 to warm up")
    parser.add_argument("--accounts", type=int, default=1024, help="that are synced in turn")
    parser.add_argument("--clients", type=_numbers(int), default=[16, 128, 512], help="such as 16,128,512")
    parser.add_argument("--latencies", type=_numbers(float), default=[0, 100], help="of the exchange in ms")
    parser.add_argument("--systems", type=_names, default=CONTENDERS, help=f"of {'; '.join(CONTENDERS)}")
    parser.add_argument("--growth", type=_numbers(int), default=[1_000, 10_000, 100_000], help="accounts")
    parser.add_argument("--history", type=int, default=24, help="syncs of each account of --growth")
    parser.add_argument("--history-accounts", type=_numbers(int), default=[100, 1_000], help="with a year")
    parser.add_argument("--changes", type=int, default=4, help="a day of each account of --history-accounts")
    parser.add_argument("--year-reads", type=int, default=50, help="of a user's daily year")
    parser.add_argument("--scheduled-rate", type=float, default=28, help="scheduled syncs a second")
    parser.add_argument("--scheduled-seconds", type=float, default=600, help="of the bench of the schedule")
    parser.add_argument("--rival-apis", type=int, default=Shape.apis, help="processes")
    parser.add_argument("--rival-workers", type=int, default=Shape.workers, help="processes")
    parser.add_argument("--rival-pool", default=Shape.pool, choices=("gevent", "threads", "prefork"))
    parser.add_argument("--rival-at-once", type=int, default=Shape.at_once, help="tasks in each worker")
    options = parser.parse_args()
    options.benches = options.benches or list(ALL)
    if unknown := set(options.benches) - {*ALL, PROFILE}:
        parser.error(f"unknown benches: {', '.join(sorted(unknown))}")
    if max(options.clients) > options.accounts:
        parser.error("an account is synced for one client at a time: --accounts must be at least --clients")
    return options


def _numbers(kind: type[int] | type[float]) -> Callable[[str], list[float]]:
    return lambda text: [kind(each) for each in text.split(",")]


def _names(text: str) -> list[str]:
    return [each.strip() for each in text.split(";")]


async def bench(options: argparse.Namespace) -> None:
    """Run the benches."""
    report = Report(options.output)
    shape = Shape(options.rival_apis, options.rival_workers, options.rival_pool, options.rival_at_once)
    directory = options.directory.resolve()
    if asked := [each for each in BENCHES if each in options.benches]:
        async with running_bench(directory, options.accounts, shape) as running:
            for name in asked:
                await BENCHES[name](running, options, report)
    for name, (run, accounts) in {GROWTH: (growth, options.accounts), HISTORY: (history, 1)}.items():
        if name not in options.benches:
            continue
        filled = directory / name
        shutil.rmtree(filled, ignore_errors=True)
        async with running_bench(filled, accounts, shape) as running:
            await run(running, options, report)
        shutil.rmtree(filled)


async def until_signal(options: argparse.Namespace) -> int:
    """Run until the end or a signal, which stops all programs in order."""
    running = asyncio.ensure_future(bench(options))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        return 130
    return 0


def main() -> int:
    """Run the benches; returns 1 if a program could not be started."""
    options = arguments()
    kernel.tie_to(os.getppid(), signal.SIGTERM)
    os.environ.update(WITHOUT_LIMITS)
    try:
        return asyncio.run(until_signal(options))
    except PartFailed as error:
        print(f"The bench has stopped: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

"""Idle: the CPU that each process uses while the API has no client."""

import argparse
import asyncio
from collections.abc import Iterable, Mapping, Sequence

from tests.bench.report import Report, middle
from tests.bench.stacks import SERVERS, SERVICES, Bench

LONGER = 3
# Until the work of earlier clients is done.
RESTING_SECONDS = 5.0
MILLISECONDS = 1000
ALL_SERVICES, WITH_SERVERS = "the three services", "services and their servers"
# The simulated exchange is shown, but belongs to no deployment; Redis is the rival's.
OUR_SERVERS = tuple(each for each in SERVERS if each not in {"exchange", "rival-redis"})
COLUMNS = ("process", "CPU ms per second", "share of one core")


async def idle(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """Measure while the services of the rival are stopped."""
    with bench.only(SERVICES):
        await asyncio.sleep(RESTING_SECONDS)
        found = [await _measure(bench, options.seconds * LONGER) for _ in range(options.repetitions)]
    report.table("Idle", COLUMNS, list(_rows(found)))


async def _measure(bench: Bench, seconds: float) -> Mapping[str, float]:
    """Return the CPU of each of our processes in ms for each second."""
    before = bench.groups.sample()
    await asyncio.sleep(seconds)
    after = bench.groups.sample()
    each = MILLISECONDS / (after.at - before.at)
    names = (*SERVICES, *OUR_SERVERS, "exchange")
    return {name: (after.groups[name] - before.groups[name]) * each for name in names}


def _rows(found: list[Mapping[str, float]]) -> Iterable[Sequence[str]]:
    groups = {name: (name,) for name in found[0]}
    for name, parts in (groups | {ALL_SERVICES: SERVICES, WITH_SERVERS: (*SERVICES, *OUR_SERVERS)}).items():
        used = [sum(each[part] for part in parts) for each in found]
        yield name, middle(used, 2), f"{middle((each / 10 for each in used), 2)} %"

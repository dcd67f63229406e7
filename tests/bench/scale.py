"""Scale out: one gateway and one worker beside two of each, on the same data, and the locks they wait for."""

import argparse
import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from deploy.local.services import programs, service_ports, until_ready
from tests.bench.locks import COLUMNS as LOCK_COLUMNS
from tests.bench.locks import Waits, watched
from tests.bench.measuring import Measured, Plan, measure
from tests.bench.report import Report, median_of, middle, ratio
from tests.bench.stacks import SERVERS, SERVICES, SETTLING_SECONDS, Bench
from tests.bench.usage import Groups
from tests.bench.whole_job import CLIENTS_A_SECOND, WARM_SECONDS

CLIENTS = 128
# Second processes are started for each of their runs, and then connect and prepare statements.
STARTED_SECONDS = 4.0
SCALED = ("sync-worker", "gateway")
OURS = (*SERVICES, *(each for each in SERVERS if each != "rival-redis"))
ONE, TWO = "1 gateway, 1 worker", "2 gateways, 2 workers"
COLUMNS = (
    *("case", "syncs/s", "p50 ms", "p99 ms", "CPU ms/sync", "programs ms", "PSS MiB", "failed"),
    *("speed", "CPU", "PSS"),
)


async def scale(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """Measure both in turn, and report them with their lock waits."""
    found: dict[str, list[Measured]] = {ONE: [], TWO: []}
    waits: defaultdict[str, Waits] = defaultdict(Waits)
    for _ in range(options.repetitions):
        for case, runs in found.items():
            async with AsyncExitStack() as stack:
                ports = [bench.stack.ports["gateway"]]
                # A stopped gateway would hold messages and locks, so the second ones end after their turn.
                if case == TWO:
                    ports.append(await stack.enter_async_context(_second_ones(bench)))
                measured = await _measure(bench, ports, options.seconds, waits[case])
            runs.append(measured)
            print(f"  {case}: {measured.per_second:.0f}/s, p50 {measured.p50:.0f} ms", flush=True)
    report.table("Scale out", COLUMNS, [_row(case, found[case], found[ONE]) for case in found])
    report.table("CPU ms per sync, by process", ("case", *OURS), _by_process(found))
    rows = [row for case, seen in waits.items() for row in seen.rows(case)]
    report.table("Lock waits that a look every 10 ms saw", LOCK_COLUMNS, rows)
    for case, measured_ones in found.items():
        for failed in (each.failed for each in measured_ones if each.failed):
            report.say(f"\nFailed ({case}): {failed}")


@asynccontextmanager
async def _second_ones(bench: Bench) -> AsyncIterator[int]:
    """Run a second worker and gateway, and yield the port of the gateway's API."""
    processes, ports = bench.stack.processes, service_ports()
    listed = {each.name: each for each in programs(bench.stack.parts, ports, processes.way)}
    async with AsyncExitStack() as stack:
        for name in SCALED:
            await stack.enter_async_context(processes.running(replace(listed[name], name=_second(name))))
        for name in SCALED:
            await until_ready(processes, ports, name)
        yield ports["gateway"]


async def _measure(bench: Bench, ports: Sequence[int], seconds: float, waits: Waits) -> Measured:
    await bench.ours.stay_signed_in()
    requests = [bench.ours.sync(name) for name in bench.names]
    clients = min(CLIENTS, len(requests))
    warm = WARM_SECONDS + STARTED_SECONDS + clients / CLIENTS_A_SECOND
    plan = Plan(ports, requests, clients, seconds, warm)
    groups = {name: [name] for name in OURS}
    if len(ports) > 1:
        groups |= {name: [name, _second(name)] for name in SCALED}
    with bench.only(SERVICES):
        await asyncio.sleep(SETTLING_SECONDS)
        async with watched(bench.stack.parts.database, waits):
            return await measure(plan, Groups(bench.stack.processes.logs, groups))


def _second(name: str) -> str:
    return f"{name}-2"


def _row(case: str, measured: list[Measured], one: list[Measured]) -> tuple[str, ...]:
    return (
        case,
        middle((each.per_second for each in measured), 0),
        middle(each.p50 for each in measured),
        middle(each.p99 for each in measured),
        middle((each.machine for each in measured), 2),
        middle((sum(each.groups.values()) for each in measured), 2),
        middle(map(_memory, measured), 0),
        str(sum(sum(each.failed.values()) for each in measured)),
        ratio(median_of(each.per_second for each in measured), median_of(each.per_second for each in one)),
        ratio(median_of(each.machine for each in measured), median_of(each.machine for each in one)),
        ratio(median_of(map(_memory, measured)), median_of(map(_memory, one))),
    )


def _by_process(found: Mapping[str, list[Measured]]) -> list[Sequence[str]]:
    return [
        (case, *(f"{median_of(each.groups[name] for each in measured):.2f}" for name in OURS))
        for case, measured in found.items()
    ]


def _memory(measured: Measured) -> float:
    """Return the PSS of the services and their bus."""
    return sum(measured.memory[name].pss for name in (*SERVICES, "nats"))

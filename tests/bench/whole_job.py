"""The whole job, from the request to the stored balances: ours beside the usual stack, interleaved."""

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.bench.measuring import Measured, Plan, measure
from tests.bench.report import Report, median_of, middle, ratio
from tests.bench.stacks import RIVALS, SERVERS, SERVICES, SETTLING_SECONDS, Bench

OURS, ONE_CALL, TWO_CALLS = "ours", "rival, 1 call", "rival, 2 calls"
CONTENDERS = (OURS, ONE_CALL, TWO_CALLS)
WARM_SECONDS, CLIENTS_A_SECOND = 2.0, 100
COLUMNS = (
    *(
        "latency",
        "clients",
        "system",
        "syncs/s",
        "p50 ms",
        "p99 ms",
        "CPU ms/sync",
        "programs ms",
        "generator ms",
    ),
    *("RSS MiB", "PSS MiB", "failed", "speed", "CPU", "PSS"),
)


@dataclass(frozen=True, slots=True)
class Case:
    """The latency of the exchange in seconds, the number of clients, and a system."""

    latency: float
    clients: int
    system: str


async def compare(bench: Bench, options: argparse.Namespace, report: Report) -> dict[Case, list[Measured]]:
    """Measure all cases, report them, and return them."""
    found: dict[Case, list[Measured]] = {}
    for latency in options.latencies:
        await bench.exchange_takes(latency / 1000)
        for _ in range(options.repetitions):
            for clients in options.clients:
                for system in options.systems:
                    case = Case(latency, clients, system)
                    measured = await run(bench, system, clients=clients, seconds=options.seconds)
                    found.setdefault(case, []).append(measured)
                    print(progress(case, measured), flush=True)
    await bench.exchange_takes(0)
    report.table("Whole job", COLUMNS, rows(found))
    report.table("CPU ms per sync, by process", *by_process(found))
    report.table("PSS MiB, by process", *by_process(found, memory=True))
    tell_trouble(found, report)
    return found


def tell_trouble(found: dict[Case, list[Measured]], report: Report) -> None:
    """Report failed requests, and those that waited because there were too few accounts."""
    for case, measured in found.items():
        where = f"{case.latency:g} ms, {case.clients} clients, {case.system}"
        for failed in (each.failed for each in measured if each.failed):
            report.say(f"\nFailed ({where}): {failed}")
        if held := sum(each.held for each in measured):
            report.say(f"\nToo few accounts ({where}): {held} requests waited until a second was over")


async def run(bench: Bench, system: str, *, clients: int, seconds: float, rate: float = 0.0) -> Measured:
    """Measure a system while the other one is stopped."""
    if system == OURS:
        await bench.ours.stay_signed_in()
        port = bench.stack.ports["gateway"]
        requests = [bench.ours.sync(name) for name in bench.names]
    else:
        port = bench.rival.port
        requests = [bench.rival.request(name, funding=system == TWO_CALLS) for name in bench.names]
    # The first answers come together, and later the more clients there are.
    warm = WARM_SECONDS + (0 if rate else clients / CLIENTS_A_SECOND)
    plan = Plan([port], requests, min(clients, len(requests)), seconds, warm, rate=rate)
    with bench.only(SERVICES if system == OURS else RIVALS):
        await asyncio.sleep(SETTLING_SECONDS)
        return await measure(plan, bench.groups)


def progress(case: Case, measured: Measured) -> str:
    """Return one measurement in a line."""
    return (
        f"  {case.latency:g} ms, {case.clients} clients, {case.system}: {measured.per_second:.0f}/s, "
        f"p50 {measured.p50:.0f}, p99 {measured.p99:.0f} ms, {measured.machine:.1f} ms CPU, "
        f"{sum(measured.failed.values())} failed, {measured.held} held"
    )


def rows(found: dict[Case, list[Measured]]) -> Iterator[Sequence[str]]:
    """Return a row for each case; the ratios are those of ours to the rival's in the same case."""
    for case, measured in found.items():
        ours = found.get(Case(case.latency, case.clients, OURS))
        compared = ours if ours and case.system != OURS else None
        memory = [_services_memory(case.system, each) for each in measured]
        yield (
            f"{case.latency:g} ms",
            str(case.clients),
            case.system,
            middle((each.per_second for each in measured), 0),
            middle(each.p50 for each in measured),
            middle(each.p99 for each in measured),
            middle((each.machine for each in measured), 2),
            middle((sum(each.groups.values()) for each in measured), 2),
            middle((each.generator for each in measured), 2),
            middle((rss for rss, _ in memory), 0),
            middle((pss for _, pss in memory), 0),
            str(sum(sum(each.failed.values()) for each in measured)),
            *(_ratios(case.system, compared, measured) if compared else ("", "", "")),
        )


def _ratios(system: str, ours: list[Measured], theirs: list[Measured]) -> tuple[str, str, str]:
    def memory(name: str, of: list[Measured]) -> float:
        return median_of(_services_memory(name, each)[1] for each in of)

    return (
        ratio(median_of(each.per_second for each in ours), median_of(each.per_second for each in theirs)),
        ratio(median_of(each.machine for each in ours), median_of(each.machine for each in theirs)),
        ratio(memory(OURS, ours), memory(system, theirs)),
    )


def _services_memory(system: str, measured: Measured) -> tuple[float, float]:
    """Return RSS and PSS of the services and the bus of a system, without the servers that both use."""
    names = (*SERVICES, "nats") if system == OURS else (*RIVALS, "rival-redis")
    held = [measured.memory[name] for name in names]
    return sum(each.rss for each in held), sum(each.pss for each in held)


def by_process(
    found: dict[Case, list[Measured]], *, memory: bool = False
) -> tuple[Sequence[str], list[Sequence[str]]]:
    """Return the columns and rows of a table with each group of processes."""
    groups = (*SERVICES, *RIVALS, *SERVERS)

    def cell(group: str, case: Case, measured: list[Measured]) -> str:
        others = (*RIVALS, "rival-redis") if case.system == OURS else (*SERVICES, "nats")
        if group in others:
            return "-"
        if memory:
            return middle((each.memory[group].pss for each in measured), 0)
        return f"{median_of(each.groups[group] for each in measured):.2f}"

    columns = ("latency", "clients", "system", *groups)
    return columns, [
        (
            f"{case.latency:g} ms",
            str(case.clients),
            case.system,
            *(cell(group, case, measured) for group in groups),
        )
        for case, measured in found.items()
    ]

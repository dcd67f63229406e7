"""The latency that a system adds: POST to answer at an even rate, a share of what it can do at most."""

import argparse

from tests.bench.measuring import Measured
from tests.bench.report import Report, median_of, middle
from tests.bench.stacks import Bench
from tests.bench.whole_job import run

# So many clients find the capacity, and so many connections never are all in use below it.
FINDING, CONNECTIONS = 128, 512
SHARES = (0.2, 0.7)
Found = dict[tuple[str, float], list[Measured]]
COLUMNS = ("system", "capacity/s", "share", "asked/s", "answered/s", "p50 ms", "p99 ms", "failed")


async def added(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """Measure both shares for each system, with an exchange that answers at once."""
    found: Found = {}
    capacities = {}
    for system in options.systems:
        tries = [
            await run(bench, system, clients=FINDING, seconds=options.seconds)
            for _ in range(options.repetitions)
        ]
        capacities[system] = median_of(each.per_second for each in tries)
    for _ in range(options.repetitions):
        for share in SHARES:
            for system in options.systems:
                rate = capacities[system] * share
                measured = await run(bench, system, clients=CONNECTIONS, seconds=options.seconds, rate=rate)
                found.setdefault((system, share), []).append(measured)
    rows = [
        (
            system,
            f"{capacities[system]:.0f}",
            f"{share:.0%}",
            f"{capacities[system] * share:.0f}",
            middle((each.per_second for each in measured), 0),
            middle(each.p50 for each in measured),
            middle(each.p99 for each in measured),
            str(sum(sum(each.failed.values()) for each in measured)),
        )
        for (system, share), measured in found.items()
    ]
    report.table("Latency added", COLUMNS, rows)
    for (system, share), runs in found.items():
        for failed in (each.failed for each in runs if each.failed):
            report.say(f"\nFailed ({system}, {share:.0%}): {failed}")

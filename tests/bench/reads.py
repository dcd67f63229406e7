"""Reads of an account with 200 assets, beside a bare handler that returns the same bytes."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from deploy.local.confinement import ROOT
from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.processes import PLAIN_ENVIRONMENT, Program
from deploy.private_files import private_folder, write_private
from tests.bench.accounts import LARGE
from tests.bench.measuring import Measured, Plan, measure
from tests.bench.report import Report, median_of, middle, ratio
from tests.bench.stacks import SERVICES, SETTLING_SECONDS, Bench
from tests.bench.usage import Groups

READS = {"account": "", "balances": "/balances", "holdings": "/holdings"}
CLIENTS = 16
# The variable that `bare.py` reads.
FOLDER = "BARE_FOLDER"
READY_SECONDS = 30
COLUMNS = ("read", "bytes", "system", "reads/s", "p50 ms", "p99 ms", "CPU ms/read", "failed", "of bare")


async def reads(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """Measure each read, ours and bare in turn."""
    await bench.ours.stay_signed_in()
    bodies = await bench.ours.contents(LARGE, READS)
    folder = private_folder(bench.stack.parts.directory / "bare")
    for name, body in bodies.items():
        write_private(folder / f"{name}.json", body)
    found: dict[tuple[str, str], list[Measured]] = {}
    async with _bare(bench, str(folder)) as (port, groups):
        for _ in range(options.repetitions):
            for name, path in READS.items():
                ours = Plan(
                    [bench.stack.ports["gateway"]],
                    [bench.ours.read(LARGE, path)] * CLIENTS,
                    CLIENTS,
                    options.seconds,
                    apart=0,
                    expect="{",
                )
                request = f"GET /{name} HTTP/1.1\r\nHost: {LOOPBACK}\r\n\r\n".encode()
                bare = Plan([port], [request] * CLIENTS, CLIENTS, options.seconds, apart=0, expect="{")
                for system, plan in (("ours", ours), ("bare Litestar", bare)):
                    with bench.only(SERVICES):
                        await asyncio.sleep(SETTLING_SECONDS)
                        measured = await measure(plan, bench.groups if system == "ours" else groups)
                    found.setdefault((name, system), []).append(measured)
    report.table("Reads of an account with 200 assets", COLUMNS, _rows(found, bodies))


def _rows(found: dict[tuple[str, str], list[Measured]], bodies: dict[str, bytes]) -> list[tuple[str, ...]]:
    return [
        (
            name,
            str(len(bodies[name])),
            system,
            middle((each.per_second for each in measured), 0),
            middle((each.p50 for each in measured), 2),
            middle((each.p99 for each in measured), 2),
            middle((each.machine for each in measured), 3),
            str(sum(sum(each.failed.values()) for each in measured)),
            ratio(
                median_of(each.per_second for each in measured),
                median_of(each.per_second for each in found[name, "bare Litestar"]),
            ),
        )
        for (name, system), measured in found.items()
    ]


@asynccontextmanager
async def _bare(bench: Bench, folder: str) -> AsyncIterator[tuple[int, Groups]]:
    """Run the bare application as the gateway's server runs, and yield its port."""
    processes, (port,) = bench.stack.processes, free_ports(1)
    command = [
        *(sys.executable, "-m", "granian", "tests.bench.bare:app", "--interface", "asgi"),
        *(
            "--host",
            LOOPBACK,
            "--port",
            str(port),
            "--workers",
            "1",
            "--loop",
            "asyncio",
            "--log-level",
            "error",
        ),
    ]
    environment = {**PLAIN_ENVIRONMENT, "PYTHONPATH": str(ROOT), FOLDER: folder}
    async with (
        processes.running(Program("bare", command, environment)),
        httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}", trust_env=False) as client,
    ):

        async def answers() -> bool:
            try:
                return (await client.get("/account")).is_success
            except httpx.TransportError:
                return False

        await processes.until("bare", answers, READY_SECONDS)
        yield port, Groups(processes.logs, {"bare": ["bare"]})

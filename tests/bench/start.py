"""The start of each service: its imports alone, and from the start of its process until it is ready."""

import argparse
import asyncio
import sys
import time

import httpx
import psutil

from deploy.local.confinement import ROOT
from deploy.local.processes import PLAIN_ENVIRONMENT
from deploy.local.services import MODULES, programs
from tests.bench.report import Report, middle
from tests.bench.stacks import Bench

POLL_SECONDS = 0.01
READY_SECONDS = 30
IMPORT = """
import time
began, cpu = time.perf_counter(), time.process_time()
import {module}.app
print(time.perf_counter() - began, time.process_time() - cpu)
"""
COLUMNS = ("service", "imports ms", "their CPU ms", "ready ms")


async def start(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """Measure each service while its dependencies run."""
    processes = bench.stack.processes
    listed = {each.name: each for each in programs(bench.stack.parts, bench.stack.ports, processes.way)}
    rows = []
    for name, module in MODULES.items():
        imports = [await _imports(module) for _ in range(options.repetitions)]
        ready = []
        for _ in range(options.repetitions):
            await processes.restart(listed[name])
            ready.append(await _ready(bench, name))
        wall, cpu = zip(*imports, strict=True)
        rows.append((name, middle(wall, 0), middle(cpu, 0), middle(ready, 0)))
    report.table("Start", COLUMNS, rows)
    bench.groups.renew()


async def _imports(module: str) -> tuple[float, float]:
    """Return the milliseconds, and those of CPU, of a service's imports."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", IMPORT.format(module=module)),
        stdout=asyncio.subprocess.PIPE,
        env=PLAIN_ENVIRONMENT,
        cwd=ROOT,
    )
    told, _ = await process.communicate()
    wall, cpu = map(float, told.split())
    return wall * 1000, cpu * 1000


async def _ready(bench: Bench, name: str) -> float:
    """Return the milliseconds between the creation of a service's process and its readiness."""
    pid = int((bench.stack.processes.logs / f"{name}.pid").read_text())
    began = psutil.Process(pid).create_time()
    url = f"{bench.stack.operations(name)}/readyz"
    async with httpx.AsyncClient(timeout=READY_SECONDS, trust_env=False) as client:
        while time.time() - began < READY_SECONDS:
            try:
                if (await client.get(url)).is_success:
                    return (time.time() - began) * 1000
            except httpx.TransportError:
                pass
            await asyncio.sleep(POLL_SECONDS)
    raise RuntimeError(f"{name} was not ready in {READY_SECONDS} s")

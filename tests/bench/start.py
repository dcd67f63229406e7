"""The start of each service: its imports alone, and from the start of its process until it is ready."""

import argparse
import asyncio
import sys
import time
from dataclasses import replace

import psutil

from deploy.local.confinement import ROOT
from deploy.local.processes import PLAIN_ENVIRONMENT
from deploy.local.services import MODULES, programs, service_ports, until_ready
from tests.bench.report import Report, middle
from tests.bench.stacks import Bench

IMPORT = """
import time
began, cpu = time.perf_counter(), time.process_time()
import {module}.app
print(time.perf_counter() - began, time.process_time() - cpu)
"""
COLUMNS = ("service", "imports ms", "their CPU ms", "ready ms")


async def start(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """Measure each service while its dependencies run, by one more process beside the one that runs."""
    rows = []
    for name, module in MODULES.items():
        imports = [await _imports(module) for _ in range(options.repetitions)]
        ready = [await _ready(bench, name) for _ in range(options.repetitions)]
        wall, cpu = zip(*imports, strict=True)
        rows.append((name, middle(wall, 0), middle(cpu, 0), middle(ready, 0)))
    report.table("Start", COLUMNS, rows)


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
    processes, ports = bench.stack.processes, service_ports()
    listed = {each.name: each for each in programs(bench.stack.parts, ports, processes.way)}
    async with processes.running(replace(listed[name], name=f"{name}-2")) as running:
        began = psutil.Process(running.pid).create_time()
        await until_ready(processes, ports, name)
        return (time.time() - began) * 1000

"""Profiles by py-spy of each of a system's services while clients sync."""

import argparse
import asyncio
from pathlib import Path

from deploy.private_files import private_folder
from tests.bench.report import Report
from tests.bench.rival.running import python
from tests.bench.stacks import SERVICES, Bench
from tests.bench.whole_job import OURS, run

CLIENTS = 128
RATE = "200"


async def profile(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """Write the stacks of each service as a flame graph and as text, with the number of samples of each."""
    logs = bench.stack.processes.logs
    folder = private_folder(bench.stack.parts.directory / "profiles")
    for system in options.systems:
        await bench.ours.stay_signed_in()  # else the profile would show how logins hash passwords
        load = asyncio.create_task(run(bench, system, clients=CLIENTS, seconds=options.seconds + 1))
        names = SERVICES if system == OURS else [path.stem for path in sorted(logs.glob("rival-[aw]*.pid"))]
        await asyncio.sleep(2)  # until the load runs
        ways = (("raw", "txt"), ("flamegraph", "svg"))
        for form, suffix in ways:
            seconds = options.seconds / len(ways)
            files = [
                folder / f"{system.replace(', ', '-').replace(' ', '-')}-{name}.{suffix}" for name in names
            ]
            pids = [(logs / f"{name}.pid").read_text() for name in names]
            await asyncio.gather(
                *(_record(pid, form, file, seconds) for pid, file in zip(pids, files, strict=True))
            )
        await load
    report.say(f"\nProfiles are in {folder}")


async def _record(pid: str, form: str, file: Path, seconds: float) -> None:
    process = await asyncio.create_subprocess_exec(
        *(python().with_name("py-spy"), "record", "--pid", pid, "--subprocesses", "--nonblocking"),
        *("--rate", RATE, "--duration", str(max(1, round(seconds))), "--format", form, "--output", file),
        stdout=asyncio.subprocess.DEVNULL,
    )
    if await process.wait():
        raise RuntimeError(f"py-spy could not profile process {pid}")

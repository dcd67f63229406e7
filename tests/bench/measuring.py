"""One measurement: a load from another process, and what it cost."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.ports import LOOPBACK
from tests.bench.rival.running import python
from tests.bench.usage import Groups, Memory

LOAD = Path(__file__).with_name("load.py")
MILLISECONDS = 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """Requests to send, to which ports, and how: see `load.py`."""

    ports: Sequence[int]
    requests: Sequence[bytes]
    clients: int
    seconds: float
    warm: float = 2.0
    rate: float = 0.0
    apart: float = 1.0
    expect: str = '"status":"completed"'

    def written(self) -> bytes:
        """Return the plan as the generator reads it."""
        plan = {
            "host": LOOPBACK,
            "ports": self.ports,
            "requests": [each.decode() for each in self.requests],
            "clients": self.clients,
            "seconds": self.seconds,
            "warm": self.warm,
            "rate": self.rate,
            "apart": self.apart,
            "expect": self.expect,
        }
        return json.dumps(plan).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Measured:
    """The results of a load; times in ms, CPU in ms for each answer.

    `machine` is the CPU of the whole machine without that of the generator, which is `generator`.
    """

    answers: int
    per_second: float
    p50: float
    p99: float
    machine: float
    generator: float
    groups: dict[str, float]
    memory: dict[str, Memory]
    failed: dict[str, int]
    held: int


async def measure(plan: Plan, groups: Groups) -> Measured:
    """Run a plan and return its results."""
    process = await asyncio.create_subprocess_exec(
        python(), LOAD, stdin=PIPE, stdout=PIPE, limit=64 * 1024 * 1024
    )
    assert process.stdin is not None
    try:
        process.stdin.write(plan.written())
        await process.stdin.drain()
        await _line(process, b"begin")
        before = groups.sample()
        await _line(process, b"end")
        after, memory = groups.sample(), groups.memory()
        result = json.loads(await _line(process))
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
    count = len(result["times"])
    each = MILLISECONDS / max(1, count)
    return Measured(
        answers=count,
        per_second=count / result["seconds"],
        p50=percentile(result["times"], 0.5),
        p99=percentile(result["times"], 0.99),
        machine=(after.machine - before.machine - result["cpu"]) * each,
        generator=result["cpu"] * each,
        groups={name: (after.groups[name] - before.groups[name]) * each for name in after.groups},
        memory=memory,
        failed=result["failed"],
        held=result["held"],
    )


async def _line(process: Process, expected: bytes | None = None) -> Any:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line or (expected is not None and line.strip() != expected):
        raise RuntimeError(f"the load generator ended: {line!r}")
    return line


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return a percentile of ordered seconds in ms; nan without any."""
    if not ordered:
        return float("nan")
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * MILLISECONDS

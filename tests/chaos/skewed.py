"""Services with a wrong clock: Debian's faketime, for one process and its wall clock only."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from chassis.clocks import DISAGREES
from tests.chaos.parts import READY_SECONDS, Service, World
from tests.waiting import IN_THE_CLEAR, until

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
needs_faketime = pytest.mark.skipif(
    not LIBRARIES, reason="faketime is not installed: NO TEST OF WRONG CLOCKS RUNS (apt-get install faketime)"
)
# The tolerance of a reading here: a Date has whole seconds, and the machine is busy.
EXACT = 3.0


def settings(seconds: int) -> dict[str, str]:
    """Return the environment of a process whose wall clock is ahead; sleeping and waiting stay true."""
    return {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME": f"{seconds:+d}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


@asynccontextmanager
async def replaced(world: World, name: str, seconds: int, **more: str) -> AsyncIterator[Service]:
    """Replace the process by one with a wrong clock."""
    right = world.services[name]
    await right.end()
    wrong = world.replica(name, **settings(seconds), **more)
    world.services[name] = wrong
    try:
        await wrong.start()
        await until(lambda: serves(wrong), READY_SECONDS * 6)
        yield wrong
    finally:
        await wrong.close()
        world.services[name] = right
        await right.start()
        await until(right.ready, READY_SECONDS * 3)


async def serves(service: Service) -> bool:
    """Return whether at most the right time is missing."""
    return set(await service.not_ready()) <= {DISAGREES}


async def offsets(service: Service) -> dict[str, float]:
    """Return from a service's metrics the seconds by which other clocks are ahead of its own."""
    async with httpx.AsyncClient(verify=IN_THE_CLEAR, timeout=5, trust_env=False) as client:
        text = (await client.get(f"{service.operations}/metrics")).text
    found = re.findall(r'^butler_clock_offset_seconds\{clock="(\w+)"\} (\S+)$', text, re.MULTILINE)
    return {name: float(value) for name, value in found}


async def named(service: Service, seconds: int, *clocks: str) -> None:
    """Wait until a service reports each clock that disagrees with its own, in metrics and log."""

    async def measured() -> bool:
        told = await offsets(service)
        return all(abs(told.get(clock, 0.0) + seconds) < EXACT for clock in clocks)

    async def logged() -> bool:
        lines = [line for line in service.log.read_text().splitlines() if f'"{DISAGREES}"' in line]
        return all(any(f'"{clock}"' in line for line in lines) for clock in clocks)

    await until(measured)
    await until(logged)

"""Restarts NATS after a full disk, because NATS keeps a write error until a restart."""

import asyncio
import math
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx

from deploy.local.nats import Nats, until_it_accepts
from deploy.local.processes import PartFailed, Processes

CHECK_SECONDS = 2.0
CALL_SECONDS = 3.0
MAX_WORDS = 300
WRITE_ERROR = "write error"
# Space for a few of the largest messages; with less, the next write error would follow at once.
FREE_BYTES = 8 * 1024 * 1024
FIRST_PAUSE, LAST_PAUSE = 10.0, 600.0

Tell = Callable[[str], None]


class Doctor:
    """Checks the server's health every two seconds, and restarts it after a write error.

    The pause before the next restart is ten seconds, then doubles each time up to ten minutes.
    """

    def __init__(self, processes: Processes, bus: Nats, tell: Tell) -> None:
        self._processes = processes
        self._bus = bus
        self._tell = tell
        self._trouble = ""
        self._pause = 0.0
        self._restarted = -math.inf

    async def run(self) -> None:
        """Watch for ever."""
        async with httpx.AsyncClient(timeout=CALL_SECONDS, trust_env=False) as client:
            while True:
                await asyncio.sleep(CHECK_SECONDS)
                self._note(await self._ask(client))
                try:
                    if WRITE_ERROR in self._trouble and self._may_restart():
                        await self._restart()
                except (PartFailed, OSError) as failure:  # the disk of the logs may be full again
                    self._tell(f"NATS could not be restarted: {failure}")

    async def _ask(self, client: httpx.AsyncClient) -> str:
        """Return the server's health error, empty if it is healthy."""
        try:
            answer = await client.get(self._bus.health)
        except httpx.HTTPError as error:
            return f"it does not answer ({type(error).__name__})"
        return "" if answer.is_success else _words(answer)

    def _note(self, trouble: str) -> None:
        """Report when the server becomes unhealthy, with its error, and when it is healthy again."""
        if bool(trouble) != bool(self._trouble) or (WRITE_ERROR in trouble) != (WRITE_ERROR in self._trouble):
            self._tell(f"NATS is unhealthy: {trouble}" if trouble else "NATS is healthy again")
        self._trouble = trouble

    def _may_restart(self) -> bool:
        since = time.monotonic() - self._restarted
        if since > 2 * LAST_PAUSE:
            self._pause = 0.0
        return since >= self._pause and shutil.disk_usage(self._bus.home).free >= FREE_BYTES

    async def _restart(self) -> None:
        self._tell("restarting NATS: there is space again, and it keeps a write error until then")
        self._pause = min(max(2 * self._pause, FIRST_PAUSE), LAST_PAUSE)
        self._restarted = time.monotonic()
        await self._processes.restart(self._bus.program)
        await until_it_accepts(self._processes, self._bus)


@asynccontextmanager
async def watched(processes: Processes, bus: Nats, tell: Tell) -> AsyncIterator[None]:
    """Watch a running NATS until the end of the block."""
    watching = asyncio.create_task(Doctor(processes, bus, tell).run())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait({watching})


def _words(answer: httpx.Response) -> str:
    """Return the server's error on one line, cut at MAX_WORDS characters."""
    try:
        said = str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        said = answer.text
    return "".join(letter if letter.isprintable() else " " for letter in said)[:MAX_WORDS]

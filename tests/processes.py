"""Finds the process of a part, for tests that signal or inspect it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import psutil


def process_writing(log: Path) -> psutil.Process:
    """Find the process that writes to this log, by the id beside it: a service hides its open files."""
    return psutil.Process(int(log.with_suffix(".pid").read_text()))


@asynccontextmanager
async def suspended(process: psutil.Process) -> AsyncIterator[None]:
    """Suspend a process until the end of the block; it may have ended meanwhile."""
    process.send_signal(SIGSTOP)
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(SIGCONT)

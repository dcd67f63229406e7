"""Finding the process of a part, to do to it what the world does to processes."""

from contextlib import suppress
from pathlib import Path

import psutil


def process_writing(log: Path) -> psutil.Process:
    """Find the process that a test or its fixtures started and that writes to this log."""
    for process in psutil.Process().children():
        with suppress(psutil.Error):
            if any(Path(opened.path) == log for opened in process.open_files()):
                return process
    raise AssertionError(f"nobody writes to {log}")

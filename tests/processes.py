"""Finds the process of a part, for tests that signal or inspect it."""

from pathlib import Path

import psutil


def process_writing(log: Path) -> psutil.Process:
    """Find the process that writes to this log, by the id beside it: a service hides its open files."""
    return psutil.Process(int(log.with_suffix(".pid").read_text()))

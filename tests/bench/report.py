"""The output: tables for a terminal that are also Markdown, with machine, date and commit."""

import os
import platform
import statistics
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from deploy.local.confinement import ROOT

GIBIBYTE = 2**30


class Report:
    """Collects sections, prints each at once, and writes them to a file."""

    def __init__(self, output: Path | None) -> None:
        self._output = output
        self._text = ""
        self.say(heading())

    def say(self, text: str) -> None:
        """Add a text."""
        print(text, flush=True)
        self._text += f"{text}\n"
        if self._output is not None:
            self._output.write_text(self._text)

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a table."""
        lines = [columns, *rows]
        widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
        written = [
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
            for line in lines
        ]
        written.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        self.say("\n".join([f"\n### {title}\n", *written]))


def heading() -> str:
    """Return the machine, the date and the commit."""
    commit = _git("rev-parse", "--short=12", "HEAD") + (" with changes" if _git("status", "-s") else "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIBIBYTE
    machine = f"{os.cpu_count()} x {_processor()}, {memory:.0f} GiB, Linux {platform.release()}"
    load = os.getloadavg()[0]
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit}, Python {platform.python_version()}.\n"
        f"{machine}; load average at the start {load:.2f}."
    )


def middle(values: Iterable[float], digits: int = 1) -> str:
    """Return the median, and the range of several values."""
    known = sorted(values)
    median = f"{statistics.median(known):.{digits}f}"
    if len(known) == 1:
        return median
    return f"{median} ({known[0]:.{digits}f} to {known[-1]:.{digits}f})"


def median_of(values: Iterable[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def ratio(ours: float, theirs: float) -> str:
    """Return ours as a multiple of theirs."""
    return f"{ours / theirs:.2f}x" if theirs else "-"


def _git(*words: str) -> str:
    found = subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True, check=False)
    return found.stdout.strip()


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")


def first_words(statement: str, width: int = 60) -> str:
    """Return the beginning of a statement in one line, for a cell."""
    line = " ".join(statement.split()).replace("|", "\\|")
    return line if len(line) <= width else f"{line[:width]}…"

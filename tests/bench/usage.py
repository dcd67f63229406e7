"""CPU and memory: of the whole machine, and of the processes of each program with their children."""

import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

STAT = Path("/proc/stat")
# Columns of the first line: user nice system idle iowait irq softirq steal. Guests are in user and nice.
IDLE, COUNTED = {3, 4, 7}, 8
TICK = os.sysconf("SC_CLK_TCK")
MEBIBYTE = 1024 * 1024


class Memory(NamedTuple):
    """MiB that processes hold, and MiB with shared pages divided among those that share them."""

    rss: float
    pss: float


@dataclass(frozen=True, slots=True)
class Sample:
    """CPU seconds so far: of the machine without idle time, and of each group."""

    at: float
    machine: float
    groups: Mapping[str, float]


class Groups:
    """Processes by group; a group is the programs of one name, or of a name with a number."""

    def __init__(self, logs: Path, groups: Mapping[str, Sequence[str]]) -> None:
        self._logs, self._names = logs, groups
        self.renew()

    def renew(self) -> None:
        """Find the processes again, because some were started again."""
        self._pids = {
            group: [int((self._logs / f"{name}.pid").read_text()) for name in names]
            for group, names in self._names.items()
        }

    def sample(self) -> Sample:
        """Read the CPU seconds."""
        groups = {group: sum(map(_cpu, self._processes(group))) for group in self._pids}
        return Sample(time.monotonic(), _machine(), groups)

    def memory(self) -> dict[str, Memory]:
        """Read the memory of each group."""
        found = {}
        for group in self._pids:
            held = [each for each in map(_memory, self._processes(group)) if each]
            found[group] = Memory(sum(each.rss for each in held), sum(each.pss for each in held))
        return found

    @contextmanager
    def stopped(self, groups: Sequence[str]) -> Iterator[None]:
        """Stop these groups meanwhile, so that their idle work does not count."""
        processes = [each for group in groups for each in self._processes(group)]
        for each in processes:
            each.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for each in processes:
                with suppress(psutil.NoSuchProcess):
                    each.send_signal(signal.SIGCONT)

    def _processes(self, group: str) -> Iterator[psutil.Process]:
        for pid in self._pids[group]:
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                yield process
                yield from process.children(recursive=True)


def _machine() -> float:
    columns = STAT.read_text().split("\n", 1)[0].split()[1 : COUNTED + 1]
    return sum(int(ticks) for column, ticks in enumerate(columns) if column not in IDLE) / TICK


def _cpu(process: psutil.Process) -> float:
    """Return the CPU seconds of a process and of its children that ended."""
    with suppress(psutil.NoSuchProcess):
        return float(sum(process.cpu_times()[:4]))
    return 0.0


def _memory(process: psutil.Process) -> Memory | None:
    with suppress(psutil.NoSuchProcess):
        full = process.memory_full_info()
        return Memory(full.rss / MEBIBYTE, full.pss / MEBIBYTE)
    return None

"""What a thief tries who runs code in the place of a service: it prints as JSON what it could open.

It runs by its text alone (`python -c`), because a service can read no tests. Arguments: the folder of the
stack, the process ids of its parts as JSON, and the files that it knows of as JSON.
"""

import ctypes
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

PTRACE_ATTACH, PTRACE_DETACH = 16, 17
MEMORY_BYTES = 16
LIBC = ctypes.CDLL(None, use_errno=True)


class Piece(ctypes.Structure):
    """A piece of memory, as struct iovec has it."""

    _fields_ = (("address", ctypes.c_void_p), ("length", ctypes.c_size_t))


def walked(folder: str) -> Iterator[str]:
    """Yield every file below a folder that can be found by looking."""
    for place, _, files in os.walk(folder):
        yield from (f"{place}/{name}" for name in files)


def opened(paths: Iterator[str]) -> list[str]:
    """Return the paths that can be opened for reading or for writing."""
    found = []
    for path in paths:
        for mode in (os.O_RDONLY, os.O_WRONLY):
            with suppress(OSError):
                os.close(os.open(path, mode | os.O_NONBLOCK))
                found.append(path)
                break
    return found


def traced(process: int) -> None:
    """Attach to a process as a debugger does; raises OSError."""
    if LIBC.ptrace(PTRACE_ATTACH, process, None, None) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")
    os.waitpid(process, 0)
    LIBC.ptrace(PTRACE_DETACH, process, None, None)


def memory(process: int) -> None:
    """Read a process's memory without attaching to it; raises OSError, also where there is none to see."""
    addresses = [line.split("-")[0] for line in Path(f"/proc/{process}/maps").read_text().splitlines()]
    if not addresses:
        raise PermissionError
    buffer = ctypes.create_string_buffer(MEMORY_BYTES)
    here, there = Piece(ctypes.addressof(buffer), MEMORY_BYTES), Piece(int(addresses[0], 16), MEMORY_BYTES)
    if LIBC.process_vm_readv(process, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) < 0:
        raise OSError(ctypes.get_errno(), "process_vm_readv")


def files_held(process: int) -> None:
    """Open what a process holds open, which is more than to see that it does; raises OSError."""
    held = (str(path) for path in Path(f"/proc/{process}/fd").iterdir())
    if not opened(held):
        raise PermissionError


ATTACKS: dict[str, Callable[[int], object]] = {
    "environ": lambda process: Path(f"/proc/{process}/environ").read_bytes(),
    "mem": lambda process: os.close(os.open(f"/proc/{process}/mem", os.O_RDONLY)),
    "fd": files_held,
    "root": lambda process: list(Path(f"/proc/{process}/root/").iterdir()),
    "cwd": lambda process: list(Path(f"/proc/{process}/cwd/").iterdir()),
    "vm_readv": memory,
    "ptrace": traced,
}


def through(process: int, folder: str) -> Iterator[str]:
    """Name the files of the stack as another process sees them."""
    for view in ("root", "cwd"):
        yield from walked(f"/proc/{process}/{view}{folder}")


def main(folder: str, processes: list[int], named: list[str]) -> None:
    """Try everything and print it."""
    reached = []
    for process in processes:
        for name, attack in ATTACKS.items():
            with suppress(OSError):
                attack(process)
                reached.append([process, name])
    views = [path for process in processes for path in opened(through(process, folder))]
    files = opened(iter([*named, *walked(folder)]))
    system = opened(iter(["/etc/shadow", "/etc/gshadow"]))
    loot = {"files": sorted({*files}), "views": views, "system": system, "processes": reached}
    sys.stdout.write(json.dumps(loot) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3]))

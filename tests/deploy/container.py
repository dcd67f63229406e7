"""Runs a command with less than root has: `python -m tests.deploy.container CAPABILITIES CALLS COMMAND...`.

Both are numbers with commas, or nothing. A system call that is taken away is answered as by a
kernel that lacks it.
"""

import ctypes
import errno
import os
import struct
import sys

from deploy.local import kernel

CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, KILL, SETUID, SYS_ADMIN = 0, 1, 2, 5, 7, 21
PR_SET_SECCOMP, FILTER = 22, 2
# linux/bpf_common.h and linux/seccomp.h
LOAD, EQUALS, ANSWER = 0x20, 0x15, 0x06
ALLOW, ERROR = 0x7FFF0000, 0x00050000


class Program(ctypes.Structure):
    """A filter of system calls, as struct sock_fprog has it."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def without(calls: list[int]) -> None:
    """Have the kernel answer these system calls with ENOSYS."""
    steps = [(LOAD, 0, 0, 0)]
    for call in calls:
        steps += [(EQUALS, 0, 1, call), (ANSWER, 0, 0, ERROR | errno.ENOSYS)]
    steps.append((ANSWER, 0, 0, ALLOW))
    program = Program(len(steps), b"".join(struct.pack("HBBI", *step) for step in steps))
    kernel.prctl(PR_SET_SECCOMP, FILTER, ctypes.addressof(program))


def before(capabilities: tuple[int, ...], calls: tuple[int, ...] = ()) -> list[str]:
    """Return the words that go before a command."""
    told = [",".join(map(str, numbers)) for numbers in (capabilities, calls)]
    return [sys.executable, "-m", "tests.deploy.container", *told]


def main(capabilities: str, calls: str, *command: str) -> None:
    """Give up what is named, and become the command."""
    if calls:
        without([int(each) for each in calls.split(",")])
    for each in filter(None, capabilities.split(",")):
        kernel.prctl(kernel.PR_CAPBSET_DROP, int(each))
    os.execv(command[0], command)  # noqa: S606 - of the test's own


if __name__ == "__main__":
    main(*sys.argv[1:])

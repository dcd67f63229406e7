"""What a service gives up at its start, before it reads a key: core dumps, readers of its memory."""

import ctypes
import os
import resource
import sys

# linux/prctl.h
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38


def harden() -> None:
    """Leave no core dump, let no process of the same user read this one's memory, and gain no rights by exec.

    Not dumpable, a process has its files in /proc owned by root. Raises OSError where Linux refuses it;
    elsewhere only the core dump goes.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        _prctl(PR_SET_DUMPABLE, 0)
        _prctl(PR_SET_NO_NEW_PRIVS, 1)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    rest = (ctypes.c_ulong(value), *(ctypes.c_ulong(0) for _ in range(3)))
    if libc.prctl(option, *rest) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

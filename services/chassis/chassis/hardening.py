"""Hardening of a service at its start, before it reads a key: no core dumps, no readers of its memory."""

import ctypes
import os
import resource
import sys

# linux/prctl.h
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38


def harden() -> None:
    """Disable core dumps, access to our memory by processes of the same user, and new rights by exec.

    The files in /proc of a process that is not dumpable belong to root. Raises OSError if Linux refuses a
    change; on other systems this disables only core dumps.
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

"""The calls of Linux with which a process gives up rights: mounts of its own, capabilities, Landlock."""

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path

LINUX = sys.platform == "linux"
_LIBC = ctypes.CDLL(None, use_errno=True) if LINUX else None

# linux/prctl.h and linux/capability.h
PR_SET_PDEATHSIG = 1
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
CAPABILITY_VERSION_3 = 0x20080522
CAPABILITIES = 64

# linux/sched.h and linux/mount.h
CLONE_NEWNS = 0x00020000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000

# linux/landlock.h; the numbers of its system calls are the same on every architecture
SYS_LANDLOCK_CREATE_RULESET, SYS_LANDLOCK_ADD_RULE, SYS_LANDLOCK_RESTRICT_SELF = 444, 445, 446
LANDLOCK_CREATE_RULESET_VERSION = 1
LANDLOCK_RULE_PATH_BENEATH = 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE, IOCTL_DEV = 1, 1 << 1, 1 << 2, 1 << 3, 1 << 14, 1 << 15
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
READING = EXECUTE | READ_FILE | READ_DIR
# How many rights each version knows. The first lets no file move to another folder, which databases do.
FILE_RIGHTS = {2: 14, 3: 15, 4: 15}
NEWEST_FILE_RIGHTS = 16
SCOPES_SINCE = 6
SCOPE_ABSTRACT_SOCKETS, SCOPE_SIGNALS = 1, 2


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def prctl(option: int, value: int, more: int = 0) -> None:
    """Change how the kernel treats this process; raises OSError."""
    rest = (ctypes.c_ulong(each) for each in (value, more, 0, 0))
    _call("prctl", ctypes.c_int(option), *rest)


def unshare_mounts() -> None:
    """Give this process a view of mounts that only it and its children see; raises OSError."""
    _call("unshare", ctypes.c_int(CLONE_NEWNS))
    _mount("none", "/", None, MS_REC | MS_PRIVATE)


def mount_empty(folder: Path) -> None:
    """Mount an empty folder, small and open to all, over a folder; raises OSError."""
    _mount("tmpfs", str(folder), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=256k")


def bind(source: int, target: Path) -> None:
    """Show the opened file or folder at the target, with what is mounted below it; raises OSError."""
    _mount(f"/proc/self/fd/{source}", str(target), None, MS_BIND | MS_REC)


def drop_bounding_set() -> None:
    """Let no program that this process runs gain a capability, whatever its file says."""
    for capability in range(CAPABILITIES):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:  # one that this kernel does not have, or a process that may not drop any
            break


def drop_capabilities() -> None:
    """Give up every capability."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    _call("capset", header, (ctypes.c_uint32 * 6)())


def landlock_version() -> int:
    """Give the version of Landlock, 0 where there is none that databases can live with."""
    try:
        version = _call(
            "syscall",
            ctypes.c_long(SYS_LANDLOCK_CREATE_RULESET),
            None,
            ctypes.c_size_t(0),
            ctypes.c_uint32(LANDLOCK_CREATE_RULESET_VERSION),
        )
    except OSError:
        return 0
    return version if version >= min(FILE_RIGHTS) else 0


def landlock(
    version: int, readable: Iterable[Path], writable: Iterable[Path], listed: Iterable[Path]
) -> None:
    """Limit this process, for good, to reading (and executing) some files and changing or listing others.

    Files that are open stay open. It can trace, signal and call by abstract sockets only processes that it
    starts itself from now on. Paths that are missing or out of reach are left out. Raises OSError.
    """
    rights = (1 << FILE_RIGHTS.get(version, NEWEST_FILE_RIGHTS)) - 1
    scoped = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS if version >= SCOPES_SINCE else 0
    size = ctypes.sizeof(_Ruleset) if scoped else ctypes.sizeof(ctypes.c_uint64)
    attributes = _Ruleset(rights, 0, scoped)
    ruleset = _call(
        "syscall",
        ctypes.c_long(SYS_LANDLOCK_CREATE_RULESET),
        ctypes.byref(attributes),
        ctypes.c_size_t(size),
        ctypes.c_uint32(0),
    )
    for path in readable:
        _allow(ruleset, path, READING & rights)
    for path in writable:
        _allow(ruleset, path, rights & ~EXECUTE)
    for path in listed:
        _allow(ruleset, path, READ_DIR)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    _call("syscall", ctypes.c_long(SYS_LANDLOCK_RESTRICT_SELF), ctypes.c_int(ruleset), ctypes.c_uint32(0))
    os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    rule = _PathBeneath(rights if path.is_dir() else rights & OF_FILES, opened)
    _call(
        "syscall",
        ctypes.c_long(SYS_LANDLOCK_ADD_RULE),
        ctypes.c_int(ruleset),
        ctypes.c_int(LANDLOCK_RULE_PATH_BENEATH),
        ctypes.byref(rule),
        ctypes.c_uint32(0),
    )
    os.close(opened)


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    words = [each.encode() if each is not None else None for each in (source, target, kind)]
    _call("mount", *words, ctypes.c_ulong(flags), data.encode() if data is not None else None)


def _call(function: str, *arguments: object) -> int:
    """Call a function of libc; raises OSError, whose text names it."""
    result: int = getattr(_LIBC, function)(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")
    return result

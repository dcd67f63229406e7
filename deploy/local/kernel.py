"""Linux calls of a process: to end with its parent, and to drop rights (mounts, capabilities, Landlock)."""

import ctypes
import os
import signal
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

# The newer mount system calls have the same numbers on every architecture.
SYS_OPEN_TREE, SYS_MOVE_MOUNT, SYS_MOUNT_SETATTR = 428, 429, 442
CLONE_NEWUSER = 0x10000000
AT_FDCWD, AT_EMPTY_PATH, OPEN_TREE_CLONE, MOVE_MOUNT_F_EMPTY_PATH = -100, 0x1000, 1, 4
MOUNT_ATTR_RDONLY, MOUNT_ATTR_IDMAP = 0x1, 0x00100000

# linux/landlock.h; the numbers of its system calls are the same on every architecture
SYS_LANDLOCK_CREATE_RULESET, SYS_LANDLOCK_ADD_RULE, SYS_LANDLOCK_RESTRICT_SELF = 444, 445, 446
LANDLOCK_CREATE_RULESET_VERSION = 1
LANDLOCK_RULE_PATH_BENEATH = 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE, IOCTL_DEV = 1, 1 << 1, 1 << 2, 1 << 3, 1 << 14, 1 << 15
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
READING = EXECUTE | READ_FILE | READ_DIR
# The number of rights of each version. Version 1 is not used: it denies moving files to another folder, which
# databases need.
FILE_RIGHTS = {2: 14, 3: 15, 4: 15}
NEWEST_FILE_RIGHTS = 16
SCOPES_SINCE = 6
SCOPE_ABSTRACT_SOCKETS, SCOPE_SIGNALS = 1, 2


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


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
    """Call prctl for this process; raises OSError."""
    rest = (ctypes.c_ulong(each) for each in (value, more, 0, 0))
    _call("prctl", ctypes.c_int(option), *rest)


def tie_to(parent: int, death_signal: signal.Signals) -> None:
    """Have the kernel send this process the signal when `parent` ends, also by kill -9.

    Call it after a change of user, which resets it. The kernel watches the thread that forked, so fork in the
    main thread.
    """
    if LINUX:
        prctl(PR_SET_PDEATHSIG, int(death_signal))
    if os.getppid() != parent:  # it ended before the call
        os._exit(1)


def unshare_mounts() -> None:
    """Give this process private mounts, visible only to it and its children; raises OSError."""
    _call("unshare", ctypes.c_int(CLONE_NEWNS))
    _mount("none", "/", None, MS_REC | MS_PRIVATE)


def mount_empty(folder: Path) -> None:
    """Mount a small, empty folder, readable by all, over a folder; raises OSError."""
    _mount("tmpfs", str(folder), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=256k")


def bind(source: int, target: Path) -> None:
    """Bind the opened file or folder, with the mounts below it, to the target; raises OSError."""
    _mount(f"/proc/self/fd/{source}", str(target), None, MS_BIND | MS_REC)


def mapping_of_root(user: int, group: int) -> int:
    """Open a user namespace in which root's files belong to a user and a group; raises OSError."""
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _call("unshare", ctypes.c_int(CLONE_NEWUSER))
            os.write(tell, b"x")
            signal.pause()
        finally:
            os._exit(1)
    os.close(tell)
    try:
        if not os.read(ready, 1):
            raise OSError("this kernel gives no user namespace")
        Path(f"/proc/{child}/uid_map").write_text(f"0 {user} 1")
        Path(f"/proc/{child}/gid_map").write_text(f"0 {group} 1")
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(ready)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def mount_mapped(path: Path, mapping: int) -> None:
    """Mount a file or folder over itself, read-only, with owners mapped by a user namespace."""
    name, here, empty = os.fsencode(path), ctypes.c_int(AT_FDCWD), ctypes.c_uint(AT_EMPTY_PATH)
    attributes = _MountAttributes(MOUNT_ATTR_RDONLY | MOUNT_ATTR_IDMAP, 0, 0, mapping)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    tree = ctypes.c_int(_syscall(SYS_OPEN_TREE, here, name, ctypes.c_uint(OPEN_TREE_CLONE)))
    _syscall(SYS_MOUNT_SETATTR, tree, b"", empty, ctypes.byref(attributes), size)
    _syscall(SYS_MOVE_MOUNT, tree, b"", here, name, ctypes.c_uint(MOVE_MOUNT_F_EMPTY_PATH))
    os.close(tree.value)


def drop_bounding_set() -> None:
    """Deny new capabilities to every program that this process runs, also those of its file."""
    for capability in range(CAPABILITIES):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:  # unknown to this kernel, or not allowed for this process
            break


def drop_capabilities() -> None:
    """Drop every capability."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    _call("capset", header, (ctypes.c_uint32 * 6)())


def landlock_version() -> int:
    """Return the version of Landlock; 0 without Landlock or if its version breaks databases."""
    try:
        ask = ctypes.c_uint32(LANDLOCK_CREATE_RULESET_VERSION)
        version = _syscall(SYS_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), ask)
    except OSError:
        return 0
    return version if version >= min(FILE_RIGHTS) else 0


def landlock(
    version: int, readable: Iterable[Path], writable: Iterable[Path], listed: Iterable[Path]
) -> None:
    """Limit this process for good to reading and executing some files, and changing or listing others.

    Open files stay open. From now on the process can trace, signal and connect by abstract sockets only to
    processes that it starts. Missing and inaccessible paths are left out. Raises OSError.
    """
    rights = (1 << FILE_RIGHTS.get(version, NEWEST_FILE_RIGHTS)) - 1
    scoped = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS if version >= SCOPES_SINCE else 0
    size = ctypes.sizeof(_Ruleset) if scoped else ctypes.sizeof(ctypes.c_uint64)
    attributes = _Ruleset(rights, 0, scoped)
    ruleset = _syscall(
        SYS_LANDLOCK_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(size), ctypes.c_uint32(0)
    )
    for path in readable:
        _allow(ruleset, path, READING & rights)
    for path in writable:
        _allow(ruleset, path, rights & ~EXECUTE)
    for path in listed:
        _allow(ruleset, path, READ_DIR)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    _syscall(SYS_LANDLOCK_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    rule = _PathBeneath(rights if path.is_dir() else rights & OF_FILES, opened)
    kind, none = ctypes.c_int(LANDLOCK_RULE_PATH_BENEATH), ctypes.c_uint32(0)
    _syscall(SYS_LANDLOCK_ADD_RULE, ctypes.c_int(ruleset), kind, ctypes.byref(rule), none)
    os.close(opened)


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    words = [each.encode() if each is not None else None for each in (source, target, kind)]
    _call("mount", *words, ctypes.c_ulong(flags), data.encode() if data is not None else None)


def _syscall(number: int, *arguments: object) -> int:
    return _call("syscall", ctypes.c_long(number), *arguments)


def _call(function: str, *arguments: object) -> int:
    """Call a libc function; raises OSError with the function's name."""
    result: int = getattr(_LIBC, function)(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")
    return result

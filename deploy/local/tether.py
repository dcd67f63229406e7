"""What a child does between fork and exec: give up root if its program wants that, tie its life to ours.

Linux has both; elsewhere only the change of user remains, and the stack is stopped by its starter alone.
"""

import ctypes
import os
import pwd
import sys
from signal import Signals

_LINUX = sys.platform == "linux"
_LIBC = ctypes.CDLL(None, use_errno=True) if _LINUX else None

# linux/prctl.h, linux/securebits.h and linux/capability.h
PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
SECBIT_NO_SETUID_FIXUP = 4
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


def tie_to(parent: int, death_signal: Signals) -> None:
    """Have the kernel send this process the signal when `parent` ends, also by kill -9.

    A change of user undoes it, so it comes after. The kernel watches the thread that forked: fork in the
    main one.
    """
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel watched it
        os._exit(1)


def become(user: pwd.struct_passwd) -> None:
    """Become another user, who keeps one of root's rights: to reach files.

    The data and the programs may lie in a folder of root's that nobody else can enter. Where that right
    can not be had, they must lie where the user can go.
    """
    if _LIBC is not None:
        # Rights outlast the change of user, and access(2), which PostgreSQL asks first, counts them.
        _LIBC.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    if _LIBC is not None:
        _keep_only(_LIBC, CAP_DAC_OVERRIDE)


def _keep_only(libc: ctypes.CDLL, capability: int) -> None:
    """Reduce the capabilities to this one, which survives exec, or to none where it can not be had."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    for mask in (1 << capability, 0):
        # effective, permitted and inheritable: the lower 32 capabilities, then the upper
        if libc.capset(header, (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)) == 0:
            break
    libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)

"""Ends a child when its parent ends, set between fork and exec; on Linux only."""

import os
from signal import Signals

from deploy.local import kernel


def tie_to(parent: int, death_signal: Signals) -> None:
    """Have the kernel send this process the signal when `parent` ends, also by kill -9.

    Call it after a change of user, which resets it. The kernel watches the thread that forked, so fork in the
    main thread.
    """
    if kernel.LINUX:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, int(death_signal))
    if os.getppid() != parent:  # it ended before the call
        os._exit(1)

"""Ends a child when its parent ends, set between fork and exec; on Linux only."""

import os
from signal import Signals

from deploy.local import kernel


def tie_to(parent: int, death_signal: Signals) -> None:
    """Have the kernel send this process the signal when `parent` ends, also by kill -9.

    A change of user undoes it, so it comes after. The kernel watches the thread that forked: fork in the
    main one.
    """
    if kernel.LINUX:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, int(death_signal))
    if os.getppid() != parent:  # it ended before the kernel watched it
        os._exit(1)

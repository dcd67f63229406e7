"""Start the sync-worker: `python -m sync_worker`; exit code 2 for a bad setting, 1 if a part fails."""

import os
import sys

from chassis.serve import start
from sync_worker.app import load, run

if __name__ == "__main__":
    sys.exit(start("sync-worker", os.environ, load, run))

"""Start the sync-worker: `python -m sync_worker`; exit code 2 for a bad setting, 1 when it has to give up."""

import asyncio
import os
import sys

from contracts.operations import logs
from sync_worker.app import run
from sync_worker.errors import BadSetting
from sync_worker.settings import load


def main() -> int:
    """Read the environment and run until SIGTERM."""
    try:
        settings = load(os.environ)
        logs.configure("sync-worker", settings.log_level)
    except (BadSetting, ValueError) as error:
        sys.stderr.write(f"sync-worker: {error}\n")
        return 2
    return asyncio.run(run(settings))


if __name__ == "__main__":
    sys.exit(main())

"""Start the gateway: `python -m gateway`, told by its environment."""

import asyncio
import os
import sys

from contracts.operations import logs
from gateway.app import run
from gateway.settings import SettingsError, load


def main() -> int:
    """Read the environment and run until a signal; 2 for a bad setting, 1 when the bus closed for good."""
    try:
        settings = load(os.environ)
        logs.configure("gateway", settings.log_level)
    except (SettingsError, ValueError) as error:
        print(f"gateway: {error}", file=sys.stderr)  # noqa: T201 - no log is configured yet
        return 2
    return asyncio.run(run(settings))


if __name__ == "__main__":
    sys.exit(main())

"""Start the vault-broker: `python -m vault_broker`; exit code 2 for a bad setting, 1 when a part is lost."""

import asyncio
import os
import sys

from contracts.operations import logs
from vault_broker.app import run
from vault_broker.settings import BadSetting, load


def main() -> int:
    """Read the environment and run until SIGTERM."""
    try:
        settings = load(os.environ)
        logs.configure("vault-broker", settings.log_level)
    except (BadSetting, ValueError) as error:
        sys.stderr.write(f"vault-broker: {error}\n")
        return 2
    return asyncio.run(run(settings))


if __name__ == "__main__":
    sys.exit(main())

"""Start the vault-broker: `python -m vault_broker`; exit code 2 for a bad setting, 1 if a part fails."""

import os
import sys

from chassis.serve import start
from vault_broker.app import run
from vault_broker.settings import load

if __name__ == "__main__":
    sys.exit(start("vault-broker", os.environ, load, run))

"""Start the gateway: `python -m gateway`; exit code 2 for a bad setting, 1 if a component fails."""

import os
import sys

from chassis.serve import start
from gateway.app import run
from gateway.settings import load

if __name__ == "__main__":
    sys.exit(start("gateway", os.environ, load, run))

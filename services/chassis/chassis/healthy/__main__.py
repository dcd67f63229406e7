"""Exit with 0 if the service of this container is ready, else with 1: `python -m chassis.healthy`."""

import os
import sys

from chassis.healthy import healthy

if __name__ == "__main__":
    sys.exit(not healthy(os.environ))

"""A service drops unneeded rights before it reads its first file."""

import subprocess
import sys

SCRIPT = """
import ctypes, resource
from chassis.serve import start

PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS = 3, 39

def load(environ):
    libc = ctypes.CDLL(None)
    print(libc.prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), libc.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
          resource.getrlimit(resource.RLIMIT_CORE))

async def run(settings):
    return 0

raise SystemExit(start("gateway", {}, load, run))
"""


def test_a_service_is_hardened_before_it_reads_its_settings() -> None:
    """Before it reads the settings it is not dumpable, gains no rights by exec and leaves no core dump."""
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)

    assert ran.stdout == "0 1 (0, 0)\n"

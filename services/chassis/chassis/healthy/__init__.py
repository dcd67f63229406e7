"""Whether the service beside this process is ready, for a container's engine."""

from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

# Longer than /readyz takes with a check that hangs.
SECONDS = 2.5
# Where a service that listens on all addresses answers.
LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - these are replaced


def healthy(environ: Mapping[str, str]) -> bool:
    """Ask `/readyz` on OPERATIONS_PORT, which must be set; raises KeyError and ValueError.

    It reads its two settings itself, because the imports of `chassis.settings` would take most of its time.
    """
    host = environ.get("LISTEN_HOST", "")
    connection = HTTPConnection(LOOPBACK.get(host, host), int(environ["OPERATIONS_PORT"]), timeout=SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()

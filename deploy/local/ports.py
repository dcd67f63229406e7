"""Free ports of the loopback interface."""

import asyncio
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from deploy.local.keys import write_private

LOOPBACK = "127.0.0.1"
CONNECT_SECONDS = 2


class PortTaken(Exception):
    """Another program listens where the stack should."""


class InTheClear(Exception):
    """The stack was told to listen where others on the network could read what it says."""


def free_ports(count: int) -> list[int]:
    """Find ports that nobody listens on; they are all different."""
    listeners = [socket.create_server((LOOPBACK, 0)) for _ in range(count)]
    ports: list[int] = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def kept_port(path: Path) -> int:
    """Give the port of the last start, or a free one when there was none or somebody has taken it."""
    wanted = int(path.read_text()) if path.exists() else 0
    try:
        with socket.create_server((LOOPBACK, wanted)) as listener:
            port: int = listener.getsockname()[1]
    except OSError:
        (port,) = free_ports(1)
    write_private(path, str(port).encode())  # through no link: the folder may be a program's own
    return port


def require_free(port: int) -> None:
    """Raise PortTaken when somebody listens on this port."""
    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise PortTaken(f"port {port} can not be had ({reason}); choose another with PORT=") from None


def require_loopback(environ: Mapping[str, str]) -> None:
    """Raise InTheClear when the environment names another address to listen on than loopback's."""
    host = environ.get("LISTEN_HOST") or LOOPBACK
    if host not in {LOOPBACK, "localhost"}:
        raise InTheClear(
            f"LISTEN_HOST={host} is refused: this stack speaks HTTP without TLS, so it listens on {LOOPBACK} "
            "alone. Unset LISTEN_HOST, and let a proxy with TLS on this machine forward to the API"
        )


async def accepts(port: int) -> bool:
    """Tell whether somebody takes connections on this port."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(LOOPBACK, port), CONNECT_SECONDS)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True

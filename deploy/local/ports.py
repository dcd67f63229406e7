"""Free ports of the loopback interface."""

import asyncio
import os
import socket
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from deploy.local.keys import write_private

LOOPBACK = "127.0.0.1"
CONNECT_SECONDS = 2
# The kernel chooses no port that one of these is bound to, and lets a program listen there that asks for it.
_HELD: deque[socket.socket] = deque()
MAX_HELD = 256


class PortTaken(Exception):
    """Another program listens where the stack should."""


class InTheClear(Exception):
    """The stack was told to listen where others on the network could read what it says."""


def free_ports(count: int) -> list[int]:
    """Find ports that no program has; they are all different, and no other program is given one meanwhile."""
    return [_hold(0) for _ in range(count)]


def _hold(wanted: int) -> int:
    """Keep a port, any one for 0, until 256 others were kept; raises OSError when a program listens there."""
    holder = socket.socket()
    try:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((LOOPBACK, wanted))
    except OSError:
        holder.close()
        raise
    if len(_HELD) == MAX_HELD:
        _HELD.popleft().close()
    _HELD.append(holder)
    port: int = holder.getsockname()[1]
    return port


def kept_port(path: Path) -> int:
    """Give the port of the last start, or a free one when there was none or somebody has taken it."""
    wanted = int(path.read_text()) if path.exists() else 0
    try:
        port = _hold(wanted)
    except OSError:
        port = _hold(0)
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

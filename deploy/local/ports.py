"""Free ports of the loopback interface."""

import asyncio
import atexit
import os
import socket
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from deploy.private_files import write_private

LOOPBACK = "127.0.0.1"
CONNECT_SECONDS = 2
# The kernel does not assign a port to which one of these is bound, but a program may listen on it explicitly.
_HELD: deque[socket.socket] = deque()
MAX_HELD = 256


class PortTaken(Exception):
    """Another program listens on a port of the stack."""


class InTheClear(Exception):
    """The stack would listen on a network where others could read its traffic, because it has no TLS."""


def free_ports(count: int) -> list[int]:
    """Return different free ports; the kernel does not assign them to other programs meanwhile."""
    return [_hold(0) for _ in range(count)]


@atexit.register
def _let_go() -> None:
    while _HELD:
        _HELD.pop().close()


def _hold(wanted: int) -> int:
    """Reserve a port, any port for 0, until 256 others are reserved; raises OSError if it is in use."""
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
    """Return the port of the last start, or a free one at the first start and if another program uses it."""
    wanted = int(path.read_text()) if path.exists() else 0
    try:
        port = _hold(wanted)
    except OSError:
        port = _hold(0)
    write_private(path, str(port).encode())  # follows no link: the folder may belong to a program
    return port


def require_free(port: int) -> None:
    """Raise PortTaken if a program listens on this port."""
    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise PortTaken(f"port {port} can not be had ({reason}); choose another with PORT=") from None


def require_loopback(environ: Mapping[str, str]) -> None:
    """Raise InTheClear if the environment sets a listening address other than loopback."""
    host = environ.get("LISTEN_HOST") or LOOPBACK
    if host not in {LOOPBACK, "localhost"}:
        raise InTheClear(
            f"LISTEN_HOST={host} is refused: this stack speaks HTTP without TLS, so it listens on {LOOPBACK} "
            "alone. Unset LISTEN_HOST, and let a proxy with TLS on this machine forward to the API"
        )


async def accepts(port: int) -> bool:
    """Return whether a program accepts connections on this port."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(LOOPBACK, port), CONNECT_SECONDS)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True

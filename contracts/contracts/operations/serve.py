"""The server around a service: granian inside the service's own loop, one process, stopped by a signal."""

import asyncio
import signal
import socket
from typing import Any

from granian.constants import Interfaces
from granian.server.embed import Server

BACKLOG = 1024
BACKPRESSURE = 4096


async def serve(application: Any, host: str, port: int, stopping: asyncio.Event) -> None:
    """Serve an ASGI application until SIGTERM, SIGINT or `stopping`, then finish what is in flight.

    The server stops taking connections at the signal; `stopping` is set first, so that waits can end early.
    Raises OSError when the port is taken.
    """
    _require_free(host, port)
    server = Server(
        application,
        host,
        port,
        interface=Interfaces.ASGINL,
        backlog=BACKLOG,
        backpressure=BACKPRESSURE,
        log_enabled=False,
    )
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    serving = asyncio.ensure_future(server.serve())
    waiting = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    stopping.set()
    waiting.cancel()
    server.stop()  # type: ignore[no-untyped-call]  # granian leaves it untyped
    await serving


def _require_free(host: str, port: int) -> None:
    """Raise OSError when somebody listens on the port: granian would share it without a word."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))

"""A listening socket that a service inherits, so that connections wait for its next process."""

import asyncio
import os
import socket
import time
from typing import Any, Self

from chassis.settings import Address, Environment, parsed

# The starter sets them itself: the number of a descriptor would mean another file in another process.
LISTEN_FD = "LISTEN_FD"
READY_FD = "READY_FD"
TCP = (socket.AF_INET, socket.AF_INET6)
MAX_DESCRIPTOR = 65535
LOOPBACK = "127.0.0.1"
QUARTERS, QUARTER_SECONDS = 4, 0.25


def inherited(environ: Environment, address: Address) -> Address:
    """Return the address with the socket of LISTEN_FD, if that is set; raises BadSetting.

    READY_FD is set for a process that follows one which still accepts connections there.
    """
    if not environ.get(LISTEN_FD):
        return address
    ready = parsed(environ, READY_FD, _descriptor) if environ.get(READY_FD) else None
    return Address(address.host, address.port, parsed(environ, LISTEN_FD, _listener), ready)


def _listener(text: str) -> int:
    """Return the number of a descriptor; raises OSError, ValueError if it is not a listening TCP socket."""
    descriptor = _descriptor(text)
    with socket.socket(fileno=os.dup(descriptor)) as found:
        if found.family not in TCP or not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise ValueError("not a listening socket")
    return descriptor


def _descriptor(text: str) -> int:
    """Return the number of an open file; raises OSError, ValueError."""
    descriptor = int(text)
    if not 0 <= descriptor <= MAX_DESCRIPTOR:
        raise ValueError("not a descriptor")
    os.fstat(descriptor)
    return descriptor


class Leaving:
    """An application on an inherited socket, which it leaves to the next process before its server ends.

    A server that ends closes connections that it has just accepted, or on which a request is on its way. So
    it accepts no more first, and closes each connection after its next response.
    """

    def __init__(self, application: Any, descriptor: int, ready: int | None = None) -> None:
        self._application = application
        self._descriptor = descriptor
        self._ready = ready
        self._leaving = False
        self._asked = 0.0

    @classmethod
    def of(cls, application: Any, address: Address) -> Self | None:
        """Return the application on an inherited socket, None if the address has none."""
        return None if address.descriptor is None else cls(application, address.descriptor, address.ready)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle a request."""
        self._asked = time.monotonic()

        async def closing(message: Any) -> None:
            if self._leaving and message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        await self._application(scope, receive, closing)

    def tell_ready(self) -> None:
        """Tell the starter that this process accepts connections, and that the one before may leave."""
        if self._ready is not None:
            os.write(self._ready, b"\n")
            os.close(self._ready)

    async def leave(self) -> None:
        """Accept no more, and return after a second, or after a quarter of one without a request."""
        self._leaving = True
        with socket.create_server((LOOPBACK, 0)) as silent:
            silent.settimeout(0)
            # The server accepts from this descriptor; the starter's own keeps the socket open.
            os.dup2(silent.fileno(), self._descriptor, inheritable=False)
        for _ in range(QUARTERS):
            began = time.monotonic()
            await asyncio.sleep(QUARTER_SECONDS)
            if self._asked < began:
                return

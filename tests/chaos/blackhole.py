"""A connection to nowhere: packets are dropped, and neither end is notified."""

import asyncio
import ctypes
import socket
import struct
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local.ports import LOOPBACK

# linux/filter.h: a socket filter of one instruction, which returns that no byte is to be kept.
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
CHUNK = 64 * 1024


class Instruction(ctypes.Structure):
    """One instruction of a classic BPF program."""

    _fields_ = (
        ("code", ctypes.c_uint16),
        ("jt", ctypes.c_uint8),
        ("jf", ctypes.c_uint8),
        ("k", ctypes.c_uint32),
    )


DROP_ALL = (Instruction * 1)(Instruction(6, 0, 0, 0))


class Blackhole:
    """A relay to a port or socket of this machine that drops packets: sent data is not even acknowledged."""

    def __init__(self, target: int | Path) -> None:
        self._target = target
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._clients: list[socket.socket] = []
        self._servers: list[socket.socket] = []
        self._relays: set[asyncio.Task[None]] = set()
        self._passable = asyncio.Event()
        self._passable.set()
        self._refusing = False

    async def __aenter__(self) -> Self:
        self._listener.setblocking(False)  # noqa: FBT003 - the name is the standard library's
        self._start(self._accept())
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for relay in self._relays:
            relay.cancel()
        await asyncio.wait(self._relays)
        for each in (self._listener, *self._clients, *self._servers):
            each.close()

    def shut(self) -> None:
        """Drop every packet from now on."""
        self._passable.clear()
        for each in (self._listener, *self._clients):
            program = struct.pack("HL", len(DROP_ALL), ctypes.addressof(DROP_ALL))
            each.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)

    def cut(self) -> None:
        """End every connection, and refuse new ones from now on."""
        self._refusing = True
        for each in (*self._clients, *self._servers):
            with suppress(OSError):  # it has ended
                each.shutdown(socket.SHUT_RDWR)

    def open(self) -> None:
        """Let packets pass again."""
        self._refusing = False
        for each in (self._listener, *self._clients):
            with suppress(OSError):  # a connection that failed meanwhile
                each.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
        self._passable.set()

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._relays.add(task)
        task.add_done_callback(self._relays.discard)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(self._listener)
            if self._refusing:
                client.close()
                continue
            by_path = isinstance(self._target, Path)
            server = socket.socket(socket.AF_UNIX if by_path else socket.AF_INET)
            server.setblocking(False)  # noqa: FBT003 - the name is the standard library's
            try:
                await loop.sock_connect(server, str(self._target) if by_path else (LOOPBACK, self._target))
            except OSError:  # it does not run
                client.close()
                server.close()
                continue
            self._clients.append(client)
            self._servers.append(server)
            self._start(self._relay(client, server))
            self._start(self._relay(server, client))

    async def _relay(self, source: socket.socket, sink: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while data := await loop.sock_recv(source, CHUNK):
                await self._passable.wait()
                await loop.sock_sendall(sink, data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

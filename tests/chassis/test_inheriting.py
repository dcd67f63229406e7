"""A service on an inherited socket: a client notices nothing when its process is replaced."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from chassis.inheriting import LISTEN_FD, inherited
from chassis.serve import Listener, serve
from chassis.settings import Address, BadSetting
from deploy.local.ports import LOOPBACK
from tests.waiting import IN_THE_CLEAR, until

CLIENTS = 8


class Echo:
    """An application that says which process it would be."""

    def __init__(self, name: str) -> None:
        self._name = name.encode()

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        """Respond with the name."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": self._name})


@asynccontextmanager
async def serving(name: str, shared: socket.socket) -> AsyncIterator[None]:
    """Serve on a copy of a socket, as a process does."""
    own, stopping = os.dup(shared.fileno()), asyncio.Event()
    address = Address(LOOPBACK, shared.getsockname()[1], own)
    task = asyncio.create_task(serve([Listener(Echo(name), address)], stopping))
    yield
    stopping.set()
    await task


async def test_no_request_fails_between_two_processes() -> None:
    """Connections wait for the next process, and none that is open is closed with a request on its way."""
    heard, ended = set[str](), asyncio.Event()

    async def ask() -> None:
        async with httpx.AsyncClient(verify=IN_THE_CLEAR, trust_env=False) as client:
            while not ended.is_set():
                heard.add((await client.get(f"http://{LOOPBACK}:{shared.getsockname()[1]}/")).text)

    async def hears(name: str) -> bool:
        return name in heard

    with socket.create_server((LOOPBACK, 0), backlog=CLIENTS) as shared:
        async with asyncio.TaskGroup() as clients:
            for _ in range(CLIENTS):
                clients.create_task(ask())
            for name in ("first", "second", "third"):
                async with serving(name, shared):
                    await until(lambda name=name: hears(name))  # type: ignore[misc]
                    if name == "third":
                        ended.set()


def test_only_a_listening_socket_is_inherited() -> None:
    """A descriptor of another file is a bad setting, and without the setting the service binds its own."""
    address = Address(LOOPBACK, 3000)
    with socket.create_server((LOOPBACK, 0)) as listening, socket.socket() as other:
        own = str(listening.fileno())
        assert inherited({LISTEN_FD: own}, address).descriptor == listening.fileno()
        for wrong in (str(other.fileno()), "-1", "9" * 30, "api"):
            with pytest.raises(BadSetting, match=LISTEN_FD):
                inherited({LISTEN_FD: wrong}, address)
    assert inherited({}, address) == address

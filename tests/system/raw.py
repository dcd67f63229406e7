"""Requests byte by byte on a socket, as no client library would send them."""

import asyncio
import json
from typing import Any

import msgspec

from deploy.local.ports import LOOPBACK

ANSWER_SECONDS = 15


class Answer(msgspec.Struct, frozen=True):
    """The first response on a connection; status 0 if the connection was closed without one."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """Return the code of a problem document."""
        return str(json.loads(self.body)["code"])

    def json(self) -> Any:
        """Read the body."""
        return json.loads(self.body)


async def asked(port: int, request: bytes) -> Answer:
    """Send a request unchanged and return the first response."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        writer.write(request)
        async with asyncio.timeout(ANSWER_SECONDS):
            await writer.drain()
            return await _answer(reader)
    except (ConnectionError, asyncio.IncompleteReadError):
        return Answer(0, {}, b"")
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Answer(int(first.split()[1]), headers, body)

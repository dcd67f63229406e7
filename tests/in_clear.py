"""Lets services of earlier releases, which know no TLS, use today's bus: a plain port before it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from deploy.local.nats import Nats
from deploy.local.ports import LOOPBACK

CHUNK = 65536
# The server's greeting requires TLS, which the client's end of the way does not have.
REQUIRED = re.compile(rb'"(tls_required|tls_verify)":true')


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass all data on until either side ends."""
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _ended(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


@asynccontextmanager
async def in_clear(bus: Nats, user: str) -> AsyncIterator[str]:
    """Yield the address of a plain port from which a user's connections lead to the bus."""
    ways: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        ways.add(task)
        task.add_done_callback(ways.discard)
        ends = [writer]
        try:
            with suppress(OSError):
                port, context = urlsplit(bus.url).port, bus.context(user)
                answers, server = await asyncio.open_connection(LOOPBACK, port, ssl=context)
                ends.append(server)
                writer.write(REQUIRED.sub(rb'"\1":false', await answers.readline()))
                await asyncio.gather(_forward(reader, server), _forward(answers, writer))
        finally:
            for end in ends:
                await _ended(end)

    listener = await asyncio.start_server(serve, LOOPBACK, 0)
    try:
        yield f"nats://{LOOPBACK}:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)

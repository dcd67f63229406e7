"""Ways in which an exchange sends a second response to one request."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tests.sync_worker.scripted import ScriptedExchange

Doubling = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]


def sized(body: bytes) -> bytes:
    """Return a response whose length is announced."""
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def chunked(body: bytes) -> bytes:
    """Return a response in one chunk."""
    return (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    )


def at_once(written: Callable[[bytes], bytes]) -> Doubling:
    """Respond twice in the same bytes."""

    async def write(writer: asyncio.StreamWriter, body: bytes) -> None:
        writer.write(written(body) * 2)

    return write


def later(seconds: float, written: Callable[[bytes], bytes] = sized) -> Doubling:
    """Respond again after so many seconds, when the connection is idle."""

    async def write(writer: asyncio.StreamWriter, body: bytes) -> None:
        writer.write(written(body))
        await asyncio.sleep(seconds)
        writer.write(written(body))

    return write


async def later_and_closed(writer: asyncio.StreamWriter, body: bytes) -> None:
    """Respond again when the connection is idle, and close it without another request."""
    await later(0.02)(writer, body)
    writer.close()


async def half_of_the_second(writer: asyncio.StreamWriter, body: bytes) -> None:
    """Respond, and begin a second response that ends only after the next request."""
    again = sized(body)
    writer.write(sized(body) + again[: len(again) // 2])


async def hints_behind(writer: asyncio.StreamWriter, body: bytes) -> None:
    """Send an interim response before the response, and one after it."""
    hints = b"HTTP/1.1 103 Early Hints\r\nlink: </>\r\n\r\n"
    writer.write(hints + sized(body) + hints + sized(body))


async def without_body(writer: asyncio.StreamWriter, body: bytes) -> None:
    """Send a body with a status that has none, as to a HEAD request, and respond after it."""
    writer.write(sized(body) + b"HTTP/1.1 204 No Content\r\n\r\n" + sized(body))


TWICE: dict[str, Doubling] = {
    "at once": at_once(sized),
    "at once, in chunks": at_once(chunked),
    "after 20 ms": later(0.02),
    "after 20 ms, in chunks": later(0.02, chunked),
    "after 2 s": later(2.0),
    "after 20 ms, and closed": later_and_closed,
    "half of it": half_of_the_second,
    "interim responses": hints_behind,
    "a status without a body": without_body,
}


class Answers:
    """Responds twice to each request with its key; `told` counts the finished responses."""

    def __init__(self, server: ScriptedExchange, double: Doubling) -> None:
        self._server = server
        self._double = double
        self.told = 0

    async def script(self, writer: asyncio.StreamWriter) -> None:
        """Respond to the latest request."""
        body = self._server.heads[-1].lower().partition(b"ok-access-key: ")[2].partition(b"\r\n")[0]
        with suppress(OSError):
            await self._double(writer, body)
        self.told += 1

    def all_told(self, requests: int) -> Callable[[], Awaitable[bool]]:
        """Return the condition that so many requests got both responses."""

        async def are_told() -> bool:
            return self.told >= requests

        return are_told

"""An operator's HTTP proxy: it connects (CONNECT) and passes bytes on, over TCP or TLS."""

import asyncio
import ssl
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from deploy.local.certificates import Identity
from deploy.local.ports import LOOPBACK

MAX_CHUNK = 65536


class Proxy:
    """Keeps the received heads, and every byte that it passed on.

    It requires `login`, if set; `answer` is its response instead of connecting, and `late` are unrequested
    bytes that it sends after its response.
    """

    def __init__(self, identity: Identity | None = None, login: str | None = None) -> None:
        self._tls = None
        if identity is not None:
            self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._tls.load_cert_chain(identity.certificate_path, identity.key_path)
        self._login = login
        self.answer: bytes | None = None
        self.late = b""
        self.heads: list[bytes] = []
        self.passed = bytearray()
        self.open = 0
        self.place = ""

    @property
    def scheme(self) -> str:
        """Return the scheme of the proxy's address."""
        return "http" if self._tls is None else "https"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Proxy"]:
        """Listen on a free port."""
        server = await asyncio.start_server(self._serve, LOOPBACK, 0, ssl=self._tls)
        self.place = f"{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
        yield self
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            if (refusal := self._refusal(head)) is not None:
                writer.write(refusal)
                await writer.drain()
            else:
                await self._tunnel(head.split(b" ")[1].decode(), reader, writer)
        writer.close()
        self.open -= 1

    def _refusal(self, head: bytes) -> bytes | None:
        if self._login is not None:
            said = [line.split(b"Basic ")[-1] for line in head.split(b"\r\n") if b"Basic " in line]
            if not said or b64decode(said[0]).decode() != self._login:
                return b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n"
        return self.answer

    async def _tunnel(self, place: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = place.rpartition(":")
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n" + self.late)
        ways = [self._pass(reader, there_writer), self._pass(there_reader, writer)]
        await asyncio.wait(map(asyncio.create_task, ways), return_when=asyncio.FIRST_COMPLETED)
        there_writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(MAX_CHUNK):
                self.passed += chunk
                writer.write(chunk)
                await writer.drain()

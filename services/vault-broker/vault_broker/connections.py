"""Connections to the vault over TLS that are kept, each with one request at a time."""

import asyncio
import re
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from chassis.tls import tls_context
from vault_broker.http_response import BadHTTP, Response, read_response

# A line of a request; others could add a header, or a second request.
_LINE = re.compile(r"[ -~]+", re.ASCII)


class _Connection(asyncio.Protocol):
    """One connection. It is closed when the vault sends bytes that were not asked for."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._response: asyncio.Future[Response] | None = None

    @property
    def open(self) -> bool:
        """Return whether the vault has not closed it."""
        return self._transport is not None and not self._transport.is_closing()

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    async def ask(self, request: bytes) -> Response:
        """Send a request and return the response; raises OSError."""
        if self._transport is None or not self.open:
            raise ConnectionResetError
        self._received = b""
        self._response = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._response
        finally:
            self._response = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - that of a stream
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take a part of the response."""
        if self._response is None or self._response.done():
            self.abort()
            return
        self._received += data
        try:
            response = read_response(self._received)
        except BadHTTP as error:
            self._response.set_exception(error)
            return
        if response is not None:
            self._response.set_result(response)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the request that waits."""
        if self._response is not None and not self._response.done():
            self._response.set_exception(error if isinstance(error, OSError) else ConnectionResetError())


class Connections:
    """At most `most` connections to one address, checked against the authority in a file.

    A new connection reads that file again. The last used one is used first, so that the others can end.
    """

    def __init__(self, address: str, ca_file: str, most: int) -> None:
        url = urlsplit(address)
        self._host, self._port = url.hostname or "", url.port or 443
        self._authority = url.netloc.rpartition("@")[2]
        self._prefix = url.path.rstrip("/")
        self._ca_file = ca_file
        self._free = asyncio.Semaphore(most)
        self._kept: list[_Connection] = []
        self._closed = False

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Response:
        """Send a request and return the response; a cancelled request closes its connection.

        Raises OSError, also in the form of BadHTTP and ssl.SSLError. No request is sent twice.
        """
        request = self._written(method, target, headers, body)
        async with self._free:
            connection = self._take() or await self._connect()
            try:
                response = await connection.ask(request)
            except BaseException:
                connection.abort()
                raise
            if response.reusable and not self._closed:
                self._kept.append(connection)
            else:
                connection.abort()
            return response

    def close(self) -> None:
        """Close the connections; those of running requests close with their responses."""
        self._closed = True
        while self._kept:
            self._kept.pop().abort()

    def _take(self) -> _Connection | None:
        """Return a kept connection that is still open."""
        while self._kept:
            connection = self._kept.pop()
            if connection.open:
                return connection
        return None

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            tls = tls_context(self._ca_file)  # a kept context would trust authorities that the file has lost
            _, connection = await loop.create_connection(_Connection, self._host, self._port, ssl=tls)
        except ssl.SSLError:  # its subclasses have names that no runbook explains
            raise ssl.SSLError("the vault's certificate or its TLS is not accepted") from None
        return connection

    def _written(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
        lines = [f"{method} {self._prefix}{target} HTTP/1.1", f"Host: {self._authority}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        if not all(_LINE.fullmatch(line) for line in lines):
            raise BadHTTP("the request has a header that can not be sent")
        return "\r\n".join((*lines, "", "")).encode() + (body or b"")

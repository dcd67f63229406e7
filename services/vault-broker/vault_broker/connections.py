"""Connections to the vault over TLS that are kept, each with one request at a time."""

import asyncio
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import h11
import msgspec

from chassis.tls import tls_context

MAX_HEAD = 16 * 1024
MAX_ANSWER = 1024 * 1024
NO_CONTENT = 204


class BadHTTP(OSError):
    """A message is not valid HTTP, or is too long; the text does not repeat it."""


class Response(msgspec.Struct, frozen=True):
    """A whole response; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Connection(asyncio.Protocol):
    """One connection. It is closed when the vault sends bytes that were not asked for."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._head: h11.Response | None = None
        self._body = bytearray()
        self._response: asyncio.Future[Response] | None = None

    @property
    def open(self) -> bool:
        """Return whether it can take the next request."""
        idle = self._http.our_state is h11.IDLE
        return idle and self._transport is not None and not self._transport.is_closing()

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    async def ask(self, request: h11.Request, body: bytes) -> Response:
        """Send a request and return the response; raises OSError."""
        if self._transport is None or not self.open:
            raise ConnectionResetError
        self._head, self._body = None, bytearray()
        self._response = asyncio.get_running_loop().create_future()
        parts = (request, h11.Data(body), h11.EndOfMessage())
        self._transport.write(b"".join(self._http.send(each) or b"" for each in parts))
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
        try:
            self._http.receive_data(data)
            response = self._read()
        except (h11.RemoteProtocolError, BadHTTP):
            self._response.set_exception(BadHTTP("the response can not be read"))
            return
        if response is not None:
            self._response.set_result(response)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the request that waits."""
        if self._response is not None and not self._response.done():
            self._response.set_exception(error if isinstance(error, OSError) else ConnectionResetError())

    def _read(self) -> Response | None:
        """Return the response, None if bytes are missing; raises BadHTTP and h11.RemoteProtocolError.

        A response must say the length of its body or be chunked: without that, a cut one would look whole.
        """
        while True:
            match self._http.next_event():
                case h11.Response() as head:
                    self._head = head
                    if head.status_code != NO_CONTENT and not _says_its_end(head):
                        raise BadHTTP("the response has no length")
                case h11.Data() as part:
                    self._body += part.data
                    if len(self._body) > MAX_ANSWER:
                        raise BadHTTP("the response is too long")
                case h11.EndOfMessage() if self._head is not None:
                    return self._whole(self._head)
                case h11.NEED_DATA:
                    return None
                case _:
                    raise BadHTTP("the response announces another")

    def _whole(self, head: h11.Response) -> Response:
        """Return the response, and prepare for the next request if the vault keeps the connection."""
        if self._http.trailing_data[0]:
            raise BadHTTP("bytes follow the response")
        if self._http.our_state is self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        return Response(head.status_code, headers, bytes(self._body))


def _says_its_end(head: h11.Response) -> bool:
    return any(name in {b"content-length", b"transfer-encoding"} for name, _ in head.headers)


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

    async def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        """Send a request and return the response; a cancelled request closes its connection.

        Raises OSError, also in the form of BadHTTP and ssl.SSLError. No request is sent twice.
        """
        request = self._request(method, target, headers, body)
        async with self._free:
            connection = self._take() or await self._connect()
            try:
                response = await connection.ask(request, body)
            except BaseException:
                connection.abort()
                raise
            if connection.open and not self._closed:
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

    def _request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> h11.Request:
        lines = [("Host", self._authority), *headers.items()]
        if body:
            lines += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        try:
            return h11.Request(method=method, target=f"{self._prefix}{target}", headers=lines)
        except (h11.LocalProtocolError, UnicodeEncodeError):
            raise BadHTTP("the request can not be sent as it is") from None

"""Connections to an exchange, on which no response answers a request that it does not belong to."""

import asyncio
from contextvars import ContextVar
from typing import Any, Self

from aiohttp import TCPConnector
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError

# HTTP's first status of a final response; those below are interim ones.
FINAL = 200


class Guarded(ResponseHandler):
    """A connection that notices bytes that were not requested.

    aiohttp gives received bytes to the waiting request, or to the next one, which may be another user's. A
    connection that receives bytes while no request waits is aborted, and one that received more than the
    response of its request takes no other request.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.shared = False
        self.ended: asyncio.Future[bool] | None = None
        self._waits = False
        self._answered = False
        self._unrequested = False
        self._says_last = False

    @property
    def is_whole(self) -> bool:
        """Return whether the connection has brought exactly the response of its request."""
        return self._answered and not self._waits and not self._unrequested and self.exception() is None

    def set_response_params(self, **params: Any) -> None:
        """Expect the response of a request, which aiohttp is about to send."""
        self._waits, self._answered = True, False
        super().set_response_params(**params)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; through a proxy, bytes of the handshake with the exchange may have come before."""
        super().connection_made(transport)
        if self._unrequested:
            self.abort()

    def data_received(self, data: bytes) -> None:
        """Receive bytes of the response; abort if no request waits for one."""
        if not self._waits:
            if data:  # aiohttp passes none when it resumes
                self._unrequested = True
                self.abort()
            return
        super().data_received(data)
        if self._answered and self._payload is not None and self._payload.is_eof():
            self._waits = False
            self._unrequested |= self._holds_more()

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Take the head of a response."""
        self._unrequested |= self._answered
        self._answered |= data[0].code >= FINAL
        self._says_last = data[0].should_close
        super().feed_data(data, size)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Note whether the server closed the connection after a whole response that said so."""
        if self.ended is not None and not self.ended.done():
            self.ended.set_result(exc is None and self.is_whole and self._says_last)
        super().connection_lost(exc)

    def _holds_more(self) -> bool:
        """Return whether the parser has the beginning of another message; it tells so only at the end."""
        try:
            return self._parser is not None and self._parser.feed_eof() is not None
        except HttpProcessingError:
            return True

    def close(self) -> None:
        """Close at once, because TLS would wait 30 s for the server's close_notify, outside our timeouts.

        A shared connection stays open until its `Shared` closes it.
        """
        if not self.shared:
            self.abort()


class Shared:
    """A connection for two requests of one credential, the second after the response to the first.

    The response to the first one is its own, because nothing came before it. The second request says
    `connection: close`. Its response counts only if it says so, too, the server then closed the connection,
    and nothing else came: a second response to the first request does not say that it is the last one.
    """

    def __init__(self) -> None:
        self._connection: Guarded | None = None
        self.used_again = self._offered = False

    def __enter__(self) -> Self:
        """Return this connection, which opens with its first request."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    def offer(self) -> bool:
        """Return whether the next request is the second one on this connection, and so the last."""
        kept = self._connection
        self._offered = (
            kept is not None
            and not self.used_again
            and kept.is_whole
            and not kept.should_close
            and kept.is_connected()
        )
        return self._offered

    def hold(self, connection: Guarded) -> None:
        """Use a new connection in place of the one before."""
        self.close()
        self._connection, self.used_again, self._offered = connection, False, False
        connection.shared = True

    def take(self) -> Guarded | None:
        """Return the connection for the second request; None if a new one must be opened."""
        if not self._offered or not self.offer() or self._connection is None:
            return None
        self.used_again = True
        self._connection.ended = asyncio.get_running_loop().create_future()
        return self._connection

    async def closed_by_server(self, seconds: float) -> bool:
        """Wait until the server closes the connection; returns whether it did, and sent nothing else."""
        kept = self._connection
        if kept is None or kept.ended is None or not (kept.ended.done() or kept.is_whole):
            return False
        try:
            async with asyncio.timeout(seconds):
                return await kept.ended
        except TimeoutError:
            return False

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.abort()
            self._connection = None


SHARED: ContextVar[Shared | None] = ContextVar("shared", default=None)


class Connector(TCPConnector):
    """Opens a connection for each request, or uses the open one of `SHARED`. None is pooled."""

    def __init__(self, **options: Any) -> None:
        super().__init__(force_close=True, **options)
        self._factory = self._guarded  # type: ignore[assignment] # a partial in aiohttp

    def _guarded(self) -> Guarded:
        return Guarded(self._loop)

    async def _get(self, key: Any, _traces: Any) -> Connection | None:
        shared = SHARED.get()
        kept = shared.take() if shared is not None else None
        if kept is None:
            return None
        self._acquired.add(kept)
        return Connection(self, key, kept, self._loop)

    async def _create_connection(self, *request: Any) -> ResponseHandler:
        connection = await super()._create_connection(*request)
        if (shared := SHARED.get()) is not None and isinstance(connection, Guarded):
            shared.hold(connection)
        return connection

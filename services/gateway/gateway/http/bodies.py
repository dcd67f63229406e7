"""A timeout for request bodies, so that slow clients can not hold connections for ever."""

import asyncio
from contextlib import suppress
from http import HTTPStatus

from litestar.types import HTTPReceiveMessage, Receive, WebSocketReceiveMessage

from gateway.errors import InvalidInput
from gateway.http.problems import Problem

BODY_SECONDS = 10.0
DRAIN_SECONDS = 1.0
DRAIN_BYTES = 1024 * 1024


class Body:
    """The body of one request, which must arrive within ten seconds of the request's start.

    Before an error response the rest of the body is drained, so that the client can receive the response.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._deadline = asyncio.get_running_loop().time() + BODY_SECONDS
        self._whole = False

    async def receive(self) -> HTTPReceiveMessage | WebSocketReceiveMessage:
        """Receive the next message; raises Problem when the body is late, InvalidInput when it is cut off.

        The server reports an unreadable chunk as a disconnected client.
        """
        whole = self._whole
        try:
            async with asyncio.timeout_at(None if whole else self._deadline):
                message = await self._next()
        except TimeoutError:
            words = f"The body did not arrive within {BODY_SECONDS:.0f} seconds: send the request again."
            raise Problem(HTTPStatus.REQUEST_TIMEOUT, "request_too_slow", words) from None
        if message["type"] == "http.disconnect" and not whole:
            raise InvalidInput("The body of the request can not be read to its end.")
        return message

    async def drain(self) -> None:
        """Read the rest of the body for at most one second and one mebibyte.

        Closing a connection with unread data resets it, and the client never sees the response.
        """
        read = 0
        until = min(self._deadline, asyncio.get_running_loop().time() + DRAIN_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                while not self._whole and read < DRAIN_BYTES:
                    message = await self._next()
                    read += len(message["body"]) if message["type"] == "http.request" else 0

    async def _next(self) -> HTTPReceiveMessage | WebSocketReceiveMessage:
        message = await self._receive()
        self._whole = not message.get("more_body", False)
        return message

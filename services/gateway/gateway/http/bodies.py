"""Receiving the bodies of requests within a time, so that slow clients hold nothing for ever."""

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
    """The body of one request, which may take ten seconds from the request's beginning.

    Before a refusal the rest of it is read, so that its sender can hear the answer.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._deadline = asyncio.get_running_loop().time() + BODY_SECONDS
        self._whole = False

    async def receive(self) -> HTTPReceiveMessage | WebSocketReceiveMessage:
        """Receive what comes next; raises Problem when the body is late, InvalidInput when it breaks off.

        The server tells of a chunk that it can not read as of a client that is gone.
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
        """Read on for a second and a mebibyte: what nobody reads resets the connection, answer and all."""
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

"""Receiving the bodies of requests within a time, so that slow clients hold nothing for ever."""

import asyncio
from contextlib import suppress
from http import HTTPStatus

from litestar.middleware import ASGIMiddleware
from litestar.types import (
    ASGIApp,
    HTTPReceiveMessage,
    Message,
    Receive,
    Scope,
    Send,
    WebSocketReceiveMessage,
)

from gateway.errors import Problem, invalid_input

BODY_SECONDS = 10.0
DRAIN_SECONDS = 1.0
DRAIN_BYTES = 1024 * 1024


class Receiving(ASGIMiddleware):
    """Bounds the time of a request's body, and reads on before a refusal, so that its sender can hear it."""

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Handle one request."""
        body = Body(receive)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= HTTPStatus.BAD_REQUEST:
                await body.drain()
            await send(message)

        await next_app(scope, body.receive, answer)


class Body:
    """The body of one request, which may take ten seconds from the request's beginning."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._deadline = asyncio.get_running_loop().time() + BODY_SECONDS
        self._whole = False

    async def receive(self) -> HTTPReceiveMessage | WebSocketReceiveMessage:
        """Receive what comes next; raises Problem when the body takes too long or is broken off.

        The server tells of a chunk that it can not read as of a client that is gone.
        """
        whole = self._whole
        try:
            async with asyncio.timeout_at(None if whole else self._deadline):
                message = await self._next()
        except TimeoutError:
            words = f"The body of a request must arrive within {BODY_SECONDS:.0f} seconds."
            raise Problem(HTTPStatus.REQUEST_TIMEOUT, "request_too_slow", words) from None
        if message["type"] == "http.disconnect" and not whole:
            raise invalid_input("The body of the request can not be read to its end.")
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

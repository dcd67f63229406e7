"""Receiving the bodies of requests within a time, so that slow clients hold nothing for ever."""

import asyncio
from http import HTTPStatus

from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPReceiveMessage, Receive, Scope, Send, WebSocketReceiveMessage

from gateway.errors import Problem

BODY_SECONDS = 10.0


class Receiving(ASGIMiddleware):
    """Lets a body take ten seconds from the beginning of its request; a slower one raises Problem."""

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Bound the time of one request's body; what comes after it may take its time."""
        deadline = asyncio.get_running_loop().time() + BODY_SECONDS
        whole = False

        async def receive_in_time() -> HTTPReceiveMessage | WebSocketReceiveMessage:
            nonlocal whole
            try:
                async with asyncio.timeout_at(None if whole else deadline):
                    message = await receive()
            except TimeoutError:
                words = f"The body of a request must arrive within {BODY_SECONDS:.0f} seconds."
                raise Problem(HTTPStatus.REQUEST_TIMEOUT, "request_too_slow", words) from None
            whole = not message.get("more_body", False)
            return message

        await next_app(scope, receive_in_time, send)

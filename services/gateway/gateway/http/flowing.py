"""Long responses to clients that read slowly: one that stops reading is not waited for."""

import asyncio

import structlog
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

# For a chunk, which has some ten kilobytes.
SECONDS = 30.0

log = structlog.get_logger()


class Flowing(ASGIMiddleware):
    """Ends a response of which the client took no chunk for 30 seconds; the server ends its connection."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Handle one request; raises TimeoutError, where a response has begun and can not end whole."""

        async def bounded(message: Message) -> None:
            try:
                async with asyncio.timeout(self._seconds):
                    await send(message)
            except TimeoutError:
                log.info("client_reads_too_slowly", path=scope["path"])
                raise

        await next_app(scope, receive, bounded)

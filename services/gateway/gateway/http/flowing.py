"""Long responses to clients that read slowly: few at once, and one that stops reading is not waited for."""

import asyncio

import structlog
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from gateway.places import Places

# For a chunk, which has some ten kilobytes.
SECONDS = 30.0
# Each holds a part of its lines in memory for as long as its client likes to read; a user has a quarter.
AT_ONCE = 16

log = structlog.get_logger()


class Flowing(ASGIMiddleware):
    """Ends a response of which the client took no chunk for 30 seconds; the server ends its connection.

    A process sends at most 16 of them at once, and four of one user.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, seconds: float = SECONDS, at_once: int = AT_ONCE) -> None:
        self._seconds = seconds
        self._places = Places(at_once)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Handle one request.

        Raises TooBusy, and TimeoutError where a response has begun and can not end whole.
        """

        async def bounded(message: Message) -> None:
            try:
                async with asyncio.timeout(self._seconds):
                    await send(message)
            except TimeoutError:
                log.info("client_reads_too_slowly", path=scope["path"])
                raise

        with self._places.taken(str(scope["user"].id)):
            await next_app(scope, receive, bounded)

"""A deadline for requests in flight at shutdown."""

import asyncio
from http import HTTPStatus

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from gateway.http.problems import Problem
from gateway.http.situations import afterwards

# Requests that wait for an outcome are answered at once at shutdown; the grace is for all others.
GRACE_SECONDS = 4.0
RETRY_AFTER = 5


class Ending(ASGIMiddleware):
    """Lets a request run for four seconds after the shutdown signal, then answers it with a problem."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, stopping: asyncio.Event, grace: float = GRACE_SECONDS) -> None:
        self._stopping = stopping
        self._grace = grace
        self._limits: set[asyncio.Timeout] = set()

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Handle one request; raises Problem when its grace is over."""
        limit = asyncio.timeout(self._grace if self._stopping.is_set() else None)
        self._limits.add(limit)
        try:
            async with limit:
                await next_app(scope, receive, send)
        except TimeoutError:
            if not limit.expired():
                raise
            words = f"This gateway is shutting down. {afterwards(scope)}"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "shutting_down", words, RETRY_AFTER) from None
        finally:
            self._limits.discard(limit)

    async def run(self) -> None:
        """Wait for the shutdown signal, then set the deadline of requests in flight; runs until cancelled."""
        await self._stopping.wait()
        deadline = asyncio.get_running_loop().time() + self._grace
        for limit in self._limits:
            limit.reschedule(deadline)
        await asyncio.Event().wait()

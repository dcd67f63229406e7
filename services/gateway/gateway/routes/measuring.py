"""Measuring every request by route and status."""

import time

from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from contracts.operations import metrics


class Measuring(ASGIMiddleware):
    """Counts requests and their seconds under the template of their route, never under the raw path."""

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Measure one request."""
        started = time.monotonic()
        status = 500

        async def observe(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await next_app(scope, receive, observe)
        finally:
            route = scope.get("path_template", "unknown")
            seconds = time.monotonic() - started
            metrics.HTTP_REQUESTS.labels(str(scope.get("method", "")), str(route), str(status)).observe(
                seconds
            )

"""Measuring every request by route and status."""

import time

import structlog
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from contracts.operations import metrics

log = structlog.get_logger()


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
            method, route = str(scope.get("method", "")), str(scope.get("path_template", "unknown"))
            seconds = time.monotonic() - started
            metrics.HTTP_REQUESTS.labels(method, route, str(status)).observe(seconds)
            log.debug("http_request", method=method, route=route, status=status, seconds=round(seconds, 4))

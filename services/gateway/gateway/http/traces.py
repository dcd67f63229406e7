"""The span of each request to the API, the first one of its trace."""

from http import HTTPStatus
from typing import Any, cast

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from chassis import tracing
from gateway.http.entry import METHODS


class Traced:
    """The ASGI application around all others: it traces requests if this process traces.

    Each request begins a trace of its own. A client's `traceparent` becomes a link of it, because a client
    could otherwise put its requests into traces of others and decide which of our traces are exported.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != ScopeType.HTTP or not tracing.is_on():
            await self._application(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else "other"
        status = int(HTTPStatus.INTERNAL_SERVER_ERROR)

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with tracing.span(method, tracing.Kind.SERVER, link=_client(scope), method=method) as span:
            await self._application(scope, receive, answer)
            route = str(cast("dict[str, Any]", scope).get("path_template", "unknown"))
            span.rename(f"{method} {route}")
            span.say(route=route, http_status=status)
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                span.fail(str(status))


def _client(scope: HTTPScope) -> tracing.Place | None:
    """Return the span that a client names; None for several headers, or one that is malformed."""
    found = [value for name, value in scope["headers"] if name == tracing.TRACEPARENT.encode()]
    return tracing.place_of(found[0].decode("latin-1")) if len(found) == 1 else None

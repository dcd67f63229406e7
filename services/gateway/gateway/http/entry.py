"""The outermost layer: refuses malformed requests, finds the client behind proxies, logs failures."""

import re
import time
from http import HTTPStatus
from typing import Any, cast

import msgspec
import structlog
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from chassis import metrics
from gateway.errors import InvalidInput, NotSignedIn
from gateway.http.answers import problem_fields, trouble
from gateway.http.bodies import Body
from gateway.http.problems import Problem, problem_of
from gateway.proxies import Proxies

LONGEST_HEADER = 16 * 1024
LONGEST_TARGET = 8 * 1024
HOST = re.compile(rb"(?:[\w.~-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{0,5})?", re.ASCII)
REQUEST_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
A_YEAR = "max-age=31536000"

log = structlog.get_logger()


class Entering:
    """The outermost ASGI application: every request and every response passes through it once."""

    def __init__(self, application: ASGIApp, proxies: Proxies) -> None:
        self._application = application
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; each 5xx response is one line in the log."""
        if scope["type"] != ScopeType.HTTP:
            return
        started, status = time.monotonic(), 0
        self._find_client(scope)
        body = Body(receive)

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status >= HTTPStatus.BAD_REQUEST:
                    await body.drain()
                if scope["scheme"] == "https":
                    MutableScopeHeaders.from_message(message)["Strict-Transport-Security"] = A_YEAR
            await send(message)

        try:
            refusal = refused(scope)
            if refusal is None:
                await self._application(scope, body.receive, answer)
            else:
                await _refuse(refusal, answer)
        finally:
            _observe(scope, status or 500, time.monotonic() - started)

    def _find_client(self, scope: HTTPScope) -> None:
        """Set the client's address and scheme in the scope, where every route reads them."""
        peer = scope["client"][0] if scope["client"] else ""
        fields = [_joined(scope, name) for name in (b"x-forwarded-for", b"x-forwarded-proto")]
        if not self._proxies.trusts(peer):
            return
        scope["client"] = (self._proxies.client(peer, fields[0]), 0)
        if fields[1].rpartition(",")[2].strip().lower() == "https":
            scope["scheme"] = "https"


def refused(scope: HTTPScope) -> Problem | None:
    """Return the problem of a malformed request head, before any other code reads it."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if len(hosts) != 1 or not HOST.fullmatch(hosts[0]):
        return problem_of(InvalidInput("A request has one Host header that names a host."))
    too_long = {name for name, value in scope["headers"] if len(name) + len(value) > LONGEST_HEADER}
    if too_long == {b"authorization"}:
        return problem_of(NotSignedIn())
    if too_long:
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        return Problem(status, "header_too_large", "A header has 16 KiB at most.")
    if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_TARGET:
        words = "The address of a request has 8 KiB at most."
        return Problem(HTTPStatus.REQUEST_URI_TOO_LONG, "address_too_long", words)
    return None


async def _refuse(problem: Problem, send: Send) -> None:
    """Respond with a problem before any other code reads the request, and close the connection."""
    body = msgspec.json.encode(problem.document())
    fields = problem_fields(problem) | {"Content-Length": str(len(body))}
    if problem.status is not HTTPStatus.UNAUTHORIZED:  # a 401 is the same as from a route
        fields["Connection"] = "close"
    headers = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": int(problem.status), "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _observe(scope: HTTPScope, status: int, seconds: float) -> None:
    """Count a request by the template of its route, never by its path, and log a failure."""
    method = scope["method"] if scope["method"] in METHODS else "other"
    route = str(cast("dict[str, Any]", scope).get("path_template", "unknown"))
    metrics.HTTP_REQUESTS.labels(method, route, str(status)).observe(seconds)
    told = {"method": method, "route": route, "status": status, "seconds": round(seconds, 4)}
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        log.debug("http_request", **told)
        return
    if REQUEST_ID.fullmatch(given := _joined(scope, b"x-request-id")):
        told["request_id"] = given
    log.error("http_failed", **told, **trouble(scope))


def _joined(scope: HTTPScope, name: bytes) -> str:
    return ",".join(value.decode("latin-1") for key, value in scope["headers"] if key == name)

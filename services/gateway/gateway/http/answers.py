"""Error responses as problem documents (RFC 9457)."""

import re
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.types import ExceptionHandlersMap, HTTPScope

from contracts.faults import FAULTS, Code, CodeText, EndpointName, ExchangeCode, Failure
from gateway.errors import (
    UNAVAILABLE_RETRY_AFTER,
    Faulted,
    GatewayError,
    InvalidInput,
    NotFound,
    NotSignedIn,
)
from gateway.http.problems import Problem, problem_of, status_of
from gateway.http.situations import afterwards
from gateway.store.pool import DatabaseUnavailable, Overloaded

MEDIA_TYPE = "application/problem+json"
SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

# Fixed here, because the phrases of the standard library change.
CODES = {
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "request_too_large",
}

# Statuses of responses that are sent before the body is read.
UNREAD = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE}

# The name of an unknown field may be a secret in the wrong place.
UNKNOWN = re.compile(r"unknown field `.*`", re.DOTALL)

# The text of the problem, and the seconds until a retry may succeed.
DATABASE: dict[type[DatabaseUnavailable], tuple[str, int]] = {
    DatabaseUnavailable: ("The database is not available.", UNAVAILABLE_RETRY_AFTER),
    Overloaded: ("This gateway does too much of this at once.", 1),
}

# Key in the ASGI state for the code and cause of an error response, kept until the request is logged.
TROUBLE = "trouble"

AnyRequest = Request[Any, Any, Any]
AnyConnection = ASGIConnection[Any, Any, Any, Any]


class FieldProblem(msgspec.Struct, frozen=True):
    """A field of a request that is not valid, and why."""

    field: str
    message: str


class ProblemDocument(msgspec.Struct, frozen=True):
    """A problem (RFC 9457); `code` is stable; `detail` says what to do, and its wording may change.

    A later version may send a `code` that is unknown today: then act by `status`. `errors` names invalid
    fields of the request. `exchange_code` and `endpoint` are the exchange's error and the read that met it.
    `rights` are the key's excess rights. `account_id` is the account that is already connected, or the master
    of a sub-account. `reason`, `since` and `secret_destroyed` describe a pause.
    """

    type: str
    title: str
    status: int
    code: CodeText
    detail: str
    errors: tuple[FieldProblem, ...] | msgspec.UnsetType = msgspec.UNSET
    exchange_code: ExchangeCode | msgspec.UnsetType = msgspec.UNSET
    endpoint: EndpointName | msgspec.UnsetType = msgspec.UNSET
    rights: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    account_id: UUID | msgspec.UnsetType = msgspec.UNSET
    reason: CodeText | msgspec.UnsetType = msgspec.UNSET
    since: datetime | msgspec.UnsetType = msgspec.UNSET
    secret_destroyed: bool | msgspec.UnsetType = msgspec.UNSET


# A client or proxy may repeat other header fields.
REPEATED_HEADERS = ("idempotency-key",)


def documented(*statuses: int) -> dict[int, ResponseSpec]:
    """Describe the problems of a route for the OpenAPI document, including those of every route.

    A route that needs a user or an operator refuses disabled users, and operators without the role.
    """
    refusing = {HTTPStatus.FORBIDDEN} if HTTPStatus.UNAUTHORIZED in statuses else set[HTTPStatus]()
    return {
        status: ResponseSpec(
            ProblemDocument,
            description=HTTPStatus(status).phrase,
            media_type=MEDIA_TYPE,
            generate_examples=False,
        )
        for status in sorted({400, 408, 413, 415, 500, 503, *refusing, *statuses})
    }


async def only_json(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """Raise Problem for a body without Content-Type application/json; Litestar would read it as JSON."""
    content_type = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    if "data" in handler.parsed_fn_signature.parameters and content_type != "application/json":
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "The Content-Type is not application/json: send the body as JSON, with that Content-Type.",
        )


async def said_once(connection: AnyConnection, _: BaseRouteHandler) -> None:
    """Raise InvalidInput for a repeated parameter or key, because Litestar uses only one of the values."""
    named = [*connection.query_params.keys(), *REPEATED_HEADERS]
    values = connection.query_params.getall, connection.headers.getall
    twice = [name for name in named if any(len(get(name, [])) > 1 for get in values)]
    if twice:
        errors = [
            {"field": name, "message": "The request contains this field more than once"}
            for name in sorted({*twice})
        ]
        raise InvalidInput("The request is not valid: `errors` names the fields.", errors=errors)


def problem_fields(problem: Problem) -> dict[str, str]:
    """Return the header fields of a problem document."""
    fields = SECURITY_HEADERS | problem.headers | {"Content-Type": MEDIA_TYPE}
    if problem.status is HTTPStatus.UNAUTHORIZED:
        fields["WWW-Authenticate"] = "Bearer"
    return fields


def problem_response(
    request: AnyRequest, problem: Problem, error: Exception | None = None
) -> Response[dict[str, Any]]:
    """Respond with a problem document, and keep its code and cause for the log."""
    request.scope["state"][TROUBLE] = {"code": problem.code} | (_cause(error) if error else {})
    headers = problem_fields(problem)
    if problem.status in UNREAD:
        headers["Connection"] = "close"  # not reusable, because the rest of the body is unread
    return Response(problem.document(), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


def trouble(scope: HTTPScope) -> dict[str, Any]:
    """Return the log fields of a failed request: the code, and the cause if known."""
    return dict(scope["state"].get(TROUBLE, {}))


def _cause(error: Exception) -> dict[str, Any]:
    return {"reason": str(error)} if isinstance(error, DatabaseUnavailable) else {"exc_info": error}


def _on_refusal(request: AnyRequest, error: GatewayError) -> Response[Any]:
    return problem_response(request, problem_of(error))


def _on_failure(request: AnyRequest, failure: Failure) -> Response[Any]:
    return _on_refusal(request, Faulted(failure))


def _on_database(request: AnyRequest, error: DatabaseUnavailable) -> Response[Any]:
    """Respond that the database is unavailable or overloaded, and what the request may have changed."""
    words, seconds = DATABASE[type(error)]
    problem = Problem(status_of(type(error)), error.code, f"{words} {afterwards(request.scope)}", seconds)
    return problem_response(request, problem, error)


def _on_http(request: AnyRequest, error: HTTPException) -> Response[Any]:
    status = HTTPStatus(error.status_code)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        return _on_unexpected(request, error)
    if status is HTTPStatus.NOT_FOUND:
        return _on_refusal(request, NotFound())
    if status is HTTPStatus.UNAUTHORIZED:
        return _on_refusal(request, NotSignedIn())
    if status is HTTPStatus.BAD_REQUEST:
        words = "The request is not valid: `errors` names the fields."
        return _on_refusal(request, InvalidInput(words, errors=_errors(error)))
    code = CODES.get(status, "request_refused")
    response = problem_response(request, Problem(status, code, f"{status.phrase}."))
    for name, value in (error.headers or {}).items():
        response.set_header(name, value)  # such as Allow, for a wrong method
    return response


def _errors(error: HTTPException) -> list[dict[str, str]]:
    """Name the invalid fields; the messages come from types, never from the input."""
    listed = error.extra if isinstance(error.extra, list) else []
    entries = [entry for entry in listed if isinstance(entry, dict)]
    wrong = [(str(entry.get("key", "")), str(entry.get("message", ""))) for entry in entries]
    return [
        {"field": field, "message": UNKNOWN.sub("an unknown field", message)} for field, message in wrong
    ] or [{"field": "", "message": "We can not read the request: compare it with the OpenAPI document."}]


def _on_unreadable(request: AnyRequest, _error: Exception) -> Response[Any]:
    return _on_refusal(request, InvalidInput("The body is not valid JSON."))


def _on_unexpected(request: AnyRequest, error: Exception) -> Response[Any]:
    words = f"{FAULTS[Code.INTERNAL_ERROR].words} {afterwards(request.scope)}"
    return problem_response(
        request, Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", words), error
    )


EXCEPTION_HANDLERS: ExceptionHandlersMap = {
    Problem: problem_response,
    GatewayError: _on_refusal,
    Failure: _on_failure,
    DatabaseUnavailable: _on_database,
    HTTPException: _on_http,
    RecursionError: _on_unreadable,
    UnicodeDecodeError: _on_unreadable,
    Exception: _on_unexpected,
}

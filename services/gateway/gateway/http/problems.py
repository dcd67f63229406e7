"""Problems of the API (RFC 9457) and the one table that maps faults between services to them."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from contracts.faults import Actor, Failure, fault_of
from gateway.advice import Advice

UNAVAILABLE_RETRY_AFTER = 5
OVERLOADED_RETRY_AFTER = 1
REPEAT = "Send the request again in a moment; if the fault lasts, tell the operator."


class Problem(Exception):
    """An answer that is no success: a stable code, a status, words for people, and header fields."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(retry_after)
        self.members = members

    def document(self) -> dict[str, Any]:
        """Write the problem document."""
        return {
            "type": f"urn:crypto-pocket-butler:problem:{self.code}",
            "title": self.status.phrase,
            "status": int(self.status),
            "code": self.code,
            "detail": self.detail,
            **self.members,
        }


def not_found() -> Problem:
    """Say that there is no such thing, in the same words for missing and foreign ones."""
    return Problem(HTTPStatus.NOT_FOUND, "not_found", "You have nothing under this address.")


def invalid_input(detail: str, **members: Any) -> Problem:
    """Say what is wrong with the request."""
    return Problem(HTTPStatus.BAD_REQUEST, "invalid_input", detail, **members)


def unauthorized(
    detail: str = "Sign in: send a valid access token as 'Authorization: Bearer ...'.",
) -> Problem:
    """Say that the caller is not known."""
    return Problem(HTTPStatus.UNAUTHORIZED, "unauthorized", detail)


def weak_password(detail: str) -> Problem:
    """Say why a password that somebody chose is refused."""
    return Problem(HTTPStatus.BAD_REQUEST, "weak_password", detail)


def wrong_password() -> Problem:
    """Refuse a wrong password of a user who is signed in."""
    return Problem(
        HTTPStatus.FORBIDDEN,
        "wrong_password",
        "The password is wrong: nothing was changed. You stay signed in.",
    )


def service_unavailable(code: str, detail: str) -> Problem:
    """Say that a part of the system is away for now."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, code, detail, UNAVAILABLE_RETRY_AFTER)


def overloaded(action: str = "Send the request again after a second.") -> Problem:
    """Say that too much is being done at once, and what to do now."""
    words = f"This gateway does too much of this at once. {action}"
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", words, OVERLOADED_RETRY_AFTER)


def problem_of(failure: Failure, advice: Advice | None = None) -> Problem:
    """Map a fault between services to the problem that a client sees; `advice` says what to do about it."""
    fault = fault_of(failure.code)
    next_action = REPEAT if advice is None else advice.next_action(failure.code)
    detail = f"{fault.told(failure.detail)} {next_action}"
    retry_after = round(failure.retry_after or UNAVAILABLE_RETRY_AFTER) if fault.retryable else None
    said = {"exchange_code": failure.exchange_code, "endpoint": failure.endpoint}
    members: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    return Problem(_status(failure.code), failure.code, detail, retry_after, **members)


def _status(code: str) -> HTTPStatus:
    fault = fault_of(code)
    if fault.retryable:
        return HTTPStatus.SERVICE_UNAVAILABLE
    if fault.actor in (Actor.USER, Actor.NOBODY):
        return HTTPStatus.UNPROCESSABLE_ENTITY
    return HTTPStatus.BAD_GATEWAY

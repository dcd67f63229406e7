"""Problems of the API (RFC 9457) and the table that maps domain errors to HTTP statuses."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from contracts.faults import Actor, Fault
from gateway import errors
from gateway.errors import Faulted, GatewayError, RateLimitExceeded
from gateway.http.allowances import rate_limit_fields
from gateway.store.pool import DatabaseUnavailable, Overloaded

# A class without a row inherits the row of its base class. The title is the phrase of the status, the type is
# the error's code.
STATUSES: Mapping[type[Exception], HTTPStatus] = {
    errors.InvalidInput: HTTPStatus.BAD_REQUEST,
    errors.WeakPassword: HTTPStatus.BAD_REQUEST,
    errors.NotSignedIn: HTTPStatus.UNAUTHORIZED,
    errors.WrongPassword: HTTPStatus.FORBIDDEN,
    errors.RoleTooSmall: HTTPStatus.FORBIDDEN,
    errors.UserDisabled: HTTPStatus.FORBIDDEN,
    errors.NotReplayable: HTTPStatus.CONFLICT,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.EmailTaken: HTTPStatus.CONFLICT,
    errors.TooManyAccounts: HTTPStatus.CONFLICT,
    errors.TooManyPrices: HTTPStatus.CONFLICT,
    errors.TooManyOffers: HTTPStatus.CONFLICT,
    errors.OfferBusy: HTTPStatus.CONFLICT,
    errors.OfferOver: HTTPStatus.GONE,
    errors.TooManyChoices: HTTPStatus.CONFLICT,
    errors.AccountExists: HTTPStatus.CONFLICT,
    errors.AccountPaused: HTTPStatus.CONFLICT,
    errors.OfMaster: HTTPStatus.CONFLICT,
    errors.RegionNotServed: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.DifferentAccount: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.RateLimitExceeded: HTTPStatus.TOO_MANY_REQUESTS,
    errors.LoginThrottled: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Faulted: HTTPStatus.BAD_GATEWAY,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    DatabaseUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
}


class Problem(Exception):
    """An error response: a stable code, a status, a text for users, and header fields.

    HTTP errors are raised as Problem; domain errors are converted to it.
    """

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
        """Return the problem document."""
        return {
            "type": f"urn:crypto-pocket-butler:problem:{self.code}",
            "title": self.status.phrase,
            "status": int(self.status),
            "code": self.code,
            "detail": self.detail,
            **self.members,
        }


def status_of(kind: type[Exception]) -> HTTPStatus:
    """Return the status of an error class; raises KeyError if the table has none of its bases."""
    return STATUSES[next(each for each in kind.__mro__ if each in STATUSES or each is Exception)]


def problem_of(error: GatewayError) -> Problem:
    """Convert a domain error to a Problem."""
    headers = rate_limit_fields([error.allowance]) if isinstance(error, RateLimitExceeded) else None
    status = _status_of_fault(error.fault) if isinstance(error, Faulted) else status_of(type(error))
    return Problem(status, error.code, error.detail, error.retry_after, headers, **error.members)


def _status_of_fault(fault: Fault) -> HTTPStatus:
    """Return 503 if a retry may resolve a fault, 422 if the user must or no party can, else 502."""
    if fault.retryable:
        return HTTPStatus.SERVICE_UNAVAILABLE
    by_key = fault.actor in (Actor.USER, Actor.NOBODY)
    return HTTPStatus.UNPROCESSABLE_ENTITY if by_key else status_of(Faulted)

"""One table has the status of every domain error, and no domain package knows HTTP."""

from collections.abc import Iterator
from http import HTTPStatus

import pytest

from contracts.faults import FAULTS, Actor, failure
from gateway import errors
from gateway.errors import Faulted, GatewayError, RateLimitExceeded
from gateway.http.problems import STATUSES, problem_of, status_of
from gateway.limits import Allowance, Policy


def leaves(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    """Yield the classes of the tree without subclasses."""
    below = kind.__subclasses__()
    yield from [kind] if not below else [leaf for each in below for leaf in leaves(each)]


LEAVES = list(dict.fromkeys(leaves(GatewayError)))


@pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)
def test_every_error_has_a_status(kind: type[GatewayError]) -> None:
    """The status is a refusal or an outage, never a success or a 500."""
    assert status_of(kind) >= HTTPStatus.BAD_REQUEST
    assert status_of(kind) is not HTTPStatus.INTERNAL_SERVER_ERROR


def test_the_table_holds_nothing_that_does_not_exist() -> None:
    """Each row is for an error that is raised somewhere, or for its base."""
    bases = {base for leaf in LEAVES for base in leaf.__mro__}
    ours = {kind for kind in STATUSES if issubclass(kind, GatewayError)}

    assert ours <= bases


def test_an_error_without_a_row_is_a_mistake() -> None:
    """The gateway does not guess its status."""
    with pytest.raises(KeyError):
        status_of(ZeroDivisionError)


@pytest.mark.parametrize("code", FAULTS)
def test_a_fault_has_the_status_of_who_must_act(code: str) -> None:
    """503 with Retry-After if a retry may help, 422 if the user must act, 502 for the rest."""
    problem, fault = problem_of(Faulted(failure(code))), FAULTS[code]

    by_user = fault.actor in (Actor.USER, Actor.NOBODY)
    expected = 503 if fault.retryable else 422 if by_user else 502
    assert (problem.status, problem.code) == (expected, code)
    assert ("Retry-After" in problem.headers) is fault.retryable


def test_a_problem_document_has_the_members_of_its_error() -> None:
    """The class determines type, title and status; the error supplies the words and the rest."""
    assert problem_of(errors.AccountExists("It is there.", account_id="1")).document() == {
        "type": "urn:crypto-pocket-butler:problem:account_exists",
        "title": "Conflict",
        "status": 409,
        "code": "account_exists",
        "detail": "It is there.",
        "account_id": "1",
    }


def test_a_limit_is_told_in_header_fields() -> None:
    """They stand beside Retry-After."""
    headers = problem_of(RateLimitExceeded(Allowance(Policy("sync", 60), 61, 12.5))).headers

    assert headers == {
        "RateLimit-Policy": '"sync";q=60;w=60',
        "RateLimit": '"sync";r=0;t=13',
        "Retry-After": "13",
    }


def test_the_code_and_the_endpoint_of_an_exchange_are_members() -> None:
    """A fault without them has no such members."""
    error: Faulted = Faulted(failure("exchange_error", exchange_code="51000", endpoint="balance"))

    assert error.members == {"exchange_code": "51000", "endpoint": "balance"}
    assert Faulted(failure("exchange_error")).members == {}

"""What a user is told to do names the region, the address and what became of the key."""

from typing import Any, cast

import pytest

from contracts.catalogue import OKX
from contracts.faults import Code, failure
from contracts.remedies import DELETED, ROUTES, Situation
from gateway.advice import Advice
from gateway.errors import problem_of
from gateway.routes import accounts
from gateway.routes.situations import afterwards

SUBMITTED = [Situation.CONNECT, Situation.REPLACE]


def advice(situation: Situation, *egress: str) -> Advice:
    """Stand in the region eea."""
    return Advice(situation, OKX, "eea", egress)


@pytest.mark.parametrize("situation", Situation)
@pytest.mark.parametrize("code", [Code.IP_NOT_ALLOWED, Code.IP_BINDING_REQUIRED])
def test_a_bound_key_names_our_addresses(code: Code, situation: Situation) -> None:
    """Where the operator named them, the user is told which to allow, in every situation."""
    assert "Add 192.0.2.1, 192.0.2.2 to" in advice(situation, "192.0.2.1", "192.0.2.2").next_action(code)


def test_an_unknown_key_of_a_sync_names_the_other_regions() -> None:
    """At a connect the worker's detail names them already, so they stand there once."""
    assert "global (Global (www.okx.com))" in advice(Situation.SYNC).next_action(Code.KEY_UNKNOWN)
    assert "www.okx.com" not in advice(Situation.CONNECT).next_action(Code.KEY_UNKNOWN)


@pytest.mark.parametrize("situation", SUBMITTED)
@pytest.mark.parametrize("code", [*Code, "a_code_of_tomorrow"])
def test_a_problem_has_the_words_of_its_situation(code: str, situation: Situation) -> None:
    """Every code, one of a later version included, says what became of the key that was submitted."""
    detail = problem_of(failure(code, "said by a service"), advice(situation)).detail

    assert "Said by a service. " in detail
    assert code == Code.ACCOUNT_DELETED or DELETED[situation] in detail


@pytest.mark.parametrize(
    ("handler", "situation"),
    [
        (accounts.connect_account, Situation.CONNECT),
        (accounts.replace_credentials, Situation.REPLACE),
    ],
    ids=SUBMITTED,
)
def test_an_uncertain_end_promises_nothing(handler: object, situation: Situation) -> None:
    """When the database went away in between, the words say how to see whether the key is in use."""
    text = afterwards(cast("Any", {"route_handler": handler}))

    assert ROUTES[situation] in text
    assert "delete the" in text
    assert DELETED[situation] not in text


@pytest.mark.parametrize("scope", [{}, {"route_handler": accounts.list_accounts}], ids=["no route", "a list"])
def test_other_requests_are_simply_sent_again(scope: dict[str, Any]) -> None:
    """No key was submitted, and nothing is said of one."""
    assert afterwards(cast("Any", scope)) == "Send the request again in a moment."

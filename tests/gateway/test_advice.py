"""The advice to a user names the region, the address and the state of the key."""

import re
from typing import Any, cast

import pytest
from litestar.handlers import HTTPRouteHandler

from contracts.exchanges.binance import BINANCE
from contracts.exchanges.okx import OKX
from contracts.faults import Code, failure
from contracts.remedies import DELETED, ROUTES, Situation, Standing
from gateway.advice import Advice
from gateway.errors import Faulted
from gateway.http.situations import afterwards
from gateway.routes import accounts, auth, me

SUBMITTED = [Situation.CONNECT, Situation.REPLACE]


def advice(situation: Situation, *egress: str) -> Advice:
    """Return the advice in region eea."""
    return Advice(situation, OKX, "eea", egress)


@pytest.mark.parametrize("situation", Situation)
@pytest.mark.parametrize("code", [Code.IP_NOT_ALLOWED, Code.IP_BINDING_REQUIRED])
def test_a_bound_key_names_our_addresses(code: Code, situation: Situation) -> None:
    """If the operator configured them, the user reads which to allow, in every situation."""
    assert "Add 192.0.2.1, 192.0.2.2 to" in advice(situation, "192.0.2.1", "192.0.2.2").next_action(code)


def test_a_refusal_for_three_causes_names_all_of_them() -> None:
    """Where the exchange has one code for them, the user looks at the key, our address and the right."""
    told = Advice(Situation.SYNC, BINANCE, "global", ("192.0.2.1",)).next_action(Code.KEY_REJECTED)

    assert all(part in told for part in ("copied whole", "192.0.2.1", "it may read"))
    assert "allow-list" not in advice(Situation.SYNC, "192.0.2.1").next_action(Code.KEY_REJECTED)


def test_an_unknown_key_of_a_sync_names_the_other_regions() -> None:
    """At a connect the worker's detail names them already, so they appear there once."""
    assert "global (Global (www.okx.com))" in advice(Situation.SYNC).next_action(Code.KEY_UNKNOWN)
    assert "www.okx.com" not in advice(Situation.CONNECT).next_action(Code.KEY_UNKNOWN)


@pytest.mark.parametrize("situation", SUBMITTED)
@pytest.mark.parametrize("code", [*Code, "a_code_of_tomorrow"])
def test_a_problem_has_the_words_of_its_situation(code: str, situation: Situation) -> None:
    """Every code, an unknown one included, says what happened to the submitted key."""
    detail = Faulted(failure(code, "said by a service"), advice(situation)).detail

    assert "Said by a service. " in detail
    assert code == Code.ACCOUNT_DELETED or DELETED[situation] in detail


@pytest.mark.parametrize("standing", Standing)
@pytest.mark.parametrize("situation", SUBMITTED)
@pytest.mark.parametrize("code", [*Code, "a_code_of_tomorrow"])
def test_a_key_of_an_offer_is_not_kept_and_the_offer_stays(
    code: str, situation: Situation, standing: Standing
) -> None:
    """Every code says so, and no text says that we delete the key, which could be that of the offer."""
    told = Advice(situation, BINANCE, "global", (), standing, offered=True).next_action(code)

    assert re.search("we do not keep (this|the new) API key", told, re.IGNORECASE), told
    assert "Your key offer stays open until it expires." in told
    assert "and the same `offer`" in told
    assert not [
        words for words in ("we delete", "delete this one", "secret,", "did not store") if words in told
    ]


@pytest.mark.parametrize(
    ("handler", "situation"),
    [
        (accounts.connect_account, Situation.CONNECT),
        (accounts.replace_credentials, Situation.REPLACE),
    ],
    ids=SUBMITTED,
)
def test_an_uncertain_end_promises_nothing(handler: object, situation: Situation) -> None:
    """When the database was lost in between, the words say how to see whether the key is in use."""
    text = afterwards(cast("Any", {"route_handler": handler}))

    assert ROUTES[situation] in text
    assert "delete the" in text
    assert DELETED[situation] not in text


WRITES = {"POST", "PUT", "PATCH", "DELETE"}
CHANGING = [
    handler
    for module in (accounts, auth, me)
    for handler in vars(module).values()
    if isinstance(handler, HTTPRouteHandler) and handler.http_methods & WRITES
    if handler is not auth.login  # another session does no harm
]


@pytest.mark.parametrize("handler", CHANGING, ids=lambda handler: handler.handler_name)
def test_the_uncertain_end_of_a_change_says_that_it_may_have_been_done(handler: HTTPRouteHandler) -> None:
    """When the database connection is lost during the commit, the words say how to see the result."""
    text = afterwards(cast("Any", {"route_handler": handler}))

    assert text != "Send the request again in a moment."
    assert re.search(r"\bmay (be|have) .* or not\b|Look at GET|Either the account has the new key", text), (
        text
    )


@pytest.mark.parametrize(
    ("handler", "look"),
    [
        (me.change_password, "with the new password; if that is refused, the old one still holds"),
        (me.delete_me, "Sign in in a moment with the password: if that is refused, you are deleted"),
        (auth.logout, "the session has ended once its refresh token is refused"),
        (auth.logout, "GET /me/sessions after a new login"),
        (accounts.delete_account, "GET /accounts"),
        (accounts.change_account, "GET /accounts"),
        (me.end_session, "GET /me/sessions"),
        (auth.refresh, "within 20 seconds"),
    ],
)
def test_the_words_say_where_to_look(handler: HTTPRouteHandler, look: str) -> None:
    """Each change shows at an address, or by what is refused then."""
    assert look in afterwards(cast("Any", {"route_handler": handler}))


@pytest.mark.parametrize("handler", CHANGING, ids=lambda handler: handler.handler_name)
def test_no_words_take_an_expired_access_token_for_a_sign(handler: HTTPRouteHandler) -> None:
    """Every request with an expired access token gets 401; it says nothing about a change."""
    assert "401" not in afterwards(cast("Any", {"route_handler": handler}))


@pytest.mark.parametrize("scope", [{}, {"route_handler": accounts.list_accounts}], ids=["no route", "a list"])
def test_other_requests_are_simply_sent_again(scope: dict[str, Any]) -> None:
    """No key was submitted, and the words mention none."""
    assert afterwards(cast("Any", scope)) == "Send the request again in a moment."

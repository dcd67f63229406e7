"""Binance's codes as our faults: the table of the facts, line by line."""

import re
from pathlib import Path

import pytest

from contracts.faults import FAULTS, Actor, Code, Failure
from sync_worker.exchanges.binance.faults import (
    BINANCE_CODES,
    REFUSED,
    binance_failure,
    with_causes_ruled_out,
)
from sync_worker.exchanges.binance.payloads import refused_with
from sync_worker.exchanges.faults import Asked, status_failure
from tests.sync_worker.exchanges.binance.answers import data_of, fetched

STOPS_FOR_THE_USER = "-2015 -2014 -2008 -2017 -1022 -1002 -1099"
STOPS_FOR_THE_OPERATOR = "-1100 -1101 -1102 -1103 -1104 -1105 -1106 -1121 -1125 -2035 -2036 -2042"
COMES_BACK = "-1021 -1003 -1000 -1001 -1006 -1007 -1008 -1016 -3000"
ASKED = Asked("usdm_account", "global", ("192.0.2.7",))


def listed(codes: str) -> set[str]:
    """Read a list of codes."""
    return set(codes.split())


@pytest.mark.parametrize("number", sorted(BINANCE_CODES))
def test_every_code_says_who_must_act(number: str) -> None:
    """The user for faults that only the user can mend, the operator for our mistakes; others pass."""
    fault = FAULTS[BINANCE_CODES[number]]

    assert fault.retryable is (number in listed(COMES_BACK))
    if number in listed(STOPS_FOR_THE_USER):
        assert fault.actor is Actor.USER
    if number in listed(STOPS_FOR_THE_OPERATOR):
        assert fault.actor is Actor.OPERATOR


def test_every_code_of_the_facts_is_known(facts: Path) -> None:
    """Each code in the table of section 5 has a fault, and no other code has."""
    section = (facts / "binance.md").read_text().split("## 5. Errors")[1].split("## 6.")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| -")]
    named = {number for cell in cells for number in re.findall(r"-\d{4}", cell)}
    first, last = re.findall(r"(-\d{4})\.\.(-\d{4})", section)[0]
    named |= {f"-{number}" for number in range(-int(first), -int(last) + 1)}

    assert len(named) > 25
    assert set(BINANCE_CODES) == named


def test_a_code_that_is_not_listed_passes_and_is_named() -> None:
    """A fault of an unlisted code can be tried again, and names the code."""
    fault = binance_failure("-9999", ASKED, 400)

    assert (fault.code, fault.exchange_code) == (Code.EXCHANGE_ERROR, "-9999")


def test_a_refusal_for_three_causes_names_all_of_them_and_our_address() -> None:
    """As long as no read of the key worked, each cause is possible, and the user can compare addresses."""
    fault = binance_failure(REFUSED, ASKED, 401)

    assert fault.code == Code.KEY_REJECTED
    assert all(part in fault.detail for part in ("API key", "address", "rights", "192.0.2.7", REFUSED))
    assert with_causes_ruled_out({"one": fault, "other": fault}) == {"one": fault, "other": fault}


def test_a_key_that_reads_something_else_only_lacks_a_right() -> None:
    """Another read of the same sync rules out the key and the address."""
    fault = binance_failure(REFUSED, ASKED, 401)
    ruled = with_causes_ruled_out({"refused": fault, "read": fetched([])})["refused"]

    assert isinstance(ruled, Failure)
    assert (ruled.code, ruled.exchange_code, ruled.endpoint) == (
        Code.PERMISSION_MISSING,
        REFUSED,
        "usdm_account",
    )
    assert "are right" in ruled.detail


def test_a_ban_is_told_by_its_status_and_a_limit_by_its_code() -> None:
    """A ban of our address (418) carries no code, because it concerns all reads; a limit (429) does."""
    ban, limit = (binance_failure("-1003", ASKED, status, 120.0) for status in (418, 429))

    assert (ban.code, ban.exchange_code, ban.retry_after) == (Code.RATE_LIMITED, None, 120.0)
    assert (limit.code, limit.exchange_code, limit.retry_after) == (Code.RATE_LIMITED, "-1003", 120.0)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, Code.EXCHANGE_UNREACHABLE),
        (418, Code.RATE_LIMITED),
        (429, Code.RATE_LIMITED),
        (451, Code.REGION_BLOCKED),
        (500, Code.EXCHANGE_UNAVAILABLE),
        (503, Code.EXCHANGE_UNAVAILABLE),
    ],
)
def test_a_page_of_another_server_is_told_by_its_status(status: int, code: Code) -> None:
    """A body in HTML has no code."""
    assert status_failure(status).code == code


@pytest.mark.parametrize(
    "document", [[], {}, {"code": 200, "msg": "", "snapshotVos": []}, {"code": 0, "msg": "blocked"}]
)
def test_data_is_no_refusal(document: object) -> None:
    """Lists, objects without a code, and the envelope of a success; the text of HTTP 451 has the code 0."""
    assert refused_with(data_of(document)) is None


def test_a_refusal_is_a_code_with_a_message() -> None:
    """Whatever the HTTP status is."""
    assert refused_with(data_of({"code": -1121, "msg": "Invalid symbol."})) == "-1121"

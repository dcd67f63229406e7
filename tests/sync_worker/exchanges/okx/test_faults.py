"""OKX's codes as our faults: the table of the facts, line by line."""

import json
import re
from pathlib import Path

import pytest

from contracts.faults import FAULTS, Actor, Code
from sync_worker.exchanges.faults import Asked, status_failure
from sync_worker.exchanges.okx.faults import OKX_CODES, okx_failure

# Grouped by the required action: who acts, and whether a retry can help.
STOPS_FOR_THE_USER = """50111 50119 50113 50105 50114 50101 50110 50035 50120 50030 50051 50059 50060 50100
    50007 50008 50012 50009 50017 50018 50019 50020 50021 50022 50023 50027 50029 51738"""
STOPS_FOR_THE_OPERATOR = """50121 50103 50104 50106 50107 50112 50014 50015 51000 50025 50115 50000 50002
    50006"""
NOBODY_CAN_HELP = "58002 50038 59500 59510 51735"
COMES_BACK = "50011 50001 50004 50005 50013 50026 50040 50046 50061 50062 58007 58102 50102"


BALANCE = Asked("account_balance", "global")


def listed(codes: str) -> set[str]:
    """Read a list of codes."""
    return set(codes.split())


@pytest.mark.parametrize("number", sorted(OKX_CODES))
def test_every_code_says_who_must_act(number: str) -> None:
    """The user for faults that only the user can mend, the operator for our mistakes, else no one."""
    fault = FAULTS[OKX_CODES[number]]

    assert fault.retryable is (number in listed(COMES_BACK))
    if number in listed(STOPS_FOR_THE_USER):
        assert fault.actor is Actor.USER
    if number in listed(STOPS_FOR_THE_OPERATOR):
        assert fault.actor is Actor.OPERATOR
    if number in listed(NOBODY_CAN_HELP):
        assert fault.actor is Actor.NOBODY


def test_no_code_is_left_out() -> None:
    """The table holds exactly the listed codes."""
    lists = (STOPS_FOR_THE_USER, STOPS_FOR_THE_OPERATOR, NOBODY_CAN_HELP, COMES_BACK)

    assert set(OKX_CODES) == set().union(*map(listed, lists))


def test_every_code_of_the_facts_is_known(facts: Path) -> None:
    """Each code in the table of section 6 has a fault, and each is a documented code of the exchange."""
    section = (facts / "okx.md").read_text().split("## 6. Errors")[1].split("## 7.")[0]
    named = {
        number
        for line in section.splitlines()
        if line.startswith("| 5")
        for number in _numbers(line.split("|")[1])
    }
    documented = {row["code"] for row in json.loads((facts / "data" / "okx-rest-errors.json").read_text())}

    assert len(named) > 50
    assert named <= set(OKX_CODES)
    assert set(OKX_CODES) <= documented


def _numbers(cell: str) -> list[str]:
    """Parse `50009, 50017-50023` as eight codes."""
    found = re.findall(r"(\d{5})(?:-(\d{5}))?", cell)
    return [str(each) for low, high in found for each in range(int(low), int(high or low) + 1)]


def test_every_other_documented_code_is_one_that_is_not_listed(facts: Path) -> None:
    """A code that no read should get counts as passing, and never as a balance."""
    rows = json.loads((facts / "data" / "okx-rest-errors.json").read_text())

    for row in rows:
        if row["code"] not in OKX_CODES and row["code"] != "0":
            fault = okx_failure(row["code"], row["msg"], BALANCE)
            assert (fault.code, fault.exchange_code) == (Code.EXCHANGE_ERROR, row["code"])


def test_an_unknown_key_may_be_of_another_region() -> None:
    """50119 names the requested region and the others, because a wrong host returns no other sign."""
    fault = okx_failure("50119", "API key doesn't exist", Asked("account_config", "eea"))

    assert fault.code == Code.KEY_UNKNOWN
    assert "region eea" in fault.detail
    assert "global: Global (www.okx.com)" in fault.detail
    assert "us: United States and Australia" in fault.detail
    assert "Europe" not in fault.detail


def test_our_address_is_named_where_the_operator_said_it() -> None:
    """50110 tells the user which address to allow, as the operator configured it."""
    asked = Asked("account_config", "global", ("192.0.2.1", "192.0.2.2"))
    fault = okx_failure("50110", "Your IP 203.0.113.9 is not included", asked)

    assert fault.code == Code.IP_NOT_ALLOWED
    assert "192.0.2.1, 192.0.2.2" in fault.detail
    assert "203.0.113.9" not in fault.detail


@pytest.mark.parametrize(
    ("message", "address"),
    [
        ("Your IP 203.0.113.9 is not included in your API key's IP whitelist.", "203.0.113.9"),
        ("Your IP 2001:db8::7 is not included in your API key's IP whitelist.", "2001:db8::7"),
        ("You can't access our services through the IP address (203.0.113.9)", "203.0.113.9"),
        ("Your IP 999.1.1.1 is not included.", None),
        ("", None),
    ],
)
def test_our_address_is_otherwise_the_one_that_the_exchange_saw(message: str, address: str | None) -> None:
    """The words contain the address in OKX's text, if it is valid."""
    detail = okx_failure("50110", message, BALANCE).detail

    assert detail == (f"Our address is {address} (OKX 50110)." if address else "(OKX 50110)")


def test_nothing_else_of_the_exchange_s_text_is_repeated() -> None:
    """A response that echoes a credential does not bring it into a log."""
    for number in (*OKX_CODES, "99999", "canary-in-the-code"):
        fault = okx_failure(number, "canary-secret", Asked("account_config", "global", ("192.0.2.1",)))
        assert "canary" not in f"{fault} {fault.exchange_code}"


@pytest.mark.parametrize("number", sorted(OKX_CODES))
def test_a_listed_code_is_told_with_the_read_that_met_it(number: str) -> None:
    """The code and the read have their own fields beside the fault's code."""
    fault = okx_failure(number, "", BALANCE)

    assert (fault.exchange_code, fault.endpoint) == (number, "account_balance")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("59999", "59999"),
        ("-1", "-1"),
        ("1", "1"),
        ("E_NEW-1", "E_NEW-1"),
        ("X" * 16, "X" * 16),
        ("X" * 17, None),
        ("", None),
        ("1.5", None),
        ("5 0", None),
        ("50011\n", None),
        ("\u0665", None),
        ("<script>", None),
    ],
)
def test_a_code_that_is_not_listed_is_told_where_it_looks_like_one(code: str, told: str | None) -> None:
    """It is retried like other passing faults, and its words are only ours."""
    fault = okx_failure(code, "Operation failed.", BALANCE, 3.0)

    assert (fault.code, fault.detail, fault.retry_after) == (Code.EXCHANGE_ERROR, "", 3.0)
    assert (fault.exchange_code, fault.endpoint) == (told, "account_balance")
    assert FAULTS[fault.code].retryable


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (200, Code.UNEXPECTED_RESPONSE),
        (201, Code.UNEXPECTED_RESPONSE),
        (206, Code.UNEXPECTED_RESPONSE),
        (404, Code.UNEXPECTED_RESPONSE),
        (403, Code.EXCHANGE_UNREACHABLE),
        (429, Code.RATE_LIMITED),
        (418, Code.RATE_LIMITED),
        (500, Code.EXCHANGE_UNAVAILABLE),
        (502, Code.EXCHANGE_UNAVAILABLE),
        (503, Code.EXCHANGE_UNAVAILABLE),
    ],
)
def test_without_an_answer_of_the_api_the_status_decides(status: int, code: Code) -> None:
    """A proxy in front of the exchange returns HTML; only its status is usable."""
    assert status_failure(status).code == code


def test_a_wait_that_was_asked_for_is_kept() -> None:
    """The fault carries Retry-After."""
    assert okx_failure("50011", "Too Many Requests", BALANCE, 7.0).retry_after == 7.0
    assert status_failure(429, 7.0).retry_after == 7.0

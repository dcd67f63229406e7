"""The list of sub-accounts is whole or says that it is not, and balances by name count for one uid only."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.exchanges.okx import OKX
from contracts.faults import Code, Failure, failure
from contracts.syncs import MAX_SUB_ACCOUNTS, SubAccount, TotalCheck, Verdict
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.okx.sub_accounts import (
    PAGE,
    judge_sub_account,
    listed,
    page_read,
    parse_page,
    reads_of,
)
from sync_worker.verdicts import TOLERANCE, Fetched

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE = SubAccount("11", "savings1")


def row(uid: str = "11", name: str = "savings1", ts: str = "1700000000000") -> dict[str, Any]:
    """Return a row of the list."""
    return {"uid": uid, "subAcct": name, "ts": ts, "enable": True, "frozenFunc": []}


def reads(**changed: Fetched | Failure) -> dict[str, Fetched | Failure]:
    """Return the reads of a sub-account that holds one BTC in each wallet."""
    detail = {"ccy": "BTC", "eq": "1", "eqUsd": "64000"}
    found: dict[str, Fetched | Failure] = {
        "sub_account_balance": Fetched(NOW, [{"totalEq": "64000", "details": [detail]}]),
        "sub_account_funding": Fetched(NOW, [{"ccy": "BTC", "bal": "1"}]),
        "sub_accounts": Fetched(NOW, [row()]),
    }
    return found | changed


def test_the_wallets_count_when_the_list_says_that_the_name_has_the_uid() -> None:
    """Trading agrees with the total of its own answer, funding has none, and earn is out of reach."""
    (trading, funding, earn), proven = judge_sub_account(ONE, reads(), TOLERANCE)

    assert proven
    assert [trading.verdict, funding.verdict, earn.verdict] == [
        Verdict.COMPLETE,
        Verdict.COMPLETE,
        Verdict.NOT_COVERED,
    ]
    assert (trading.total_check, funding.total_check) == (TotalCheck.AGREES, TotalCheck.UNCHECKED)
    assert (trading.positions, trading.positions_code) == (None, Code.NEEDS_OWN_KEY)
    assert [each.total for each in funding.balances or ()] == [Decimal(1)]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Fetched(NOW, []), Code.SUB_ACCOUNT_GONE),
        (Fetched(NOW, [row(uid="12")]), Code.SUB_ACCOUNT_GONE),
        (Fetched(NOW, [row(name="savings2")]), Code.SUB_ACCOUNT_GONE),
        (Fetched(NOW, [{"uid": "11"}]), Code.UNEXPECTED_RESPONSE),
        (Fetched(NOW, {}), Code.UNEXPECTED_RESPONSE),
        (failure(Code.RATE_LIMITED), Code.RATE_LIMITED),
        (failure(Code.READ_NOT_ALLOWED), Code.READ_NOT_ALLOWED),
    ],
)
def test_no_wallet_counts_without_that_proof(answer: Fetched | Failure, code: Code) -> None:
    """A name may belong to another sub-account meanwhile, whose balances these would be."""
    wallets, proven = judge_sub_account(ONE, reads(sub_accounts=answer), TOLERANCE)

    assert not proven
    assert [each.balances for each in wallets] == [None, None, None]
    assert [each.error_code for each in wallets] == [code, code, None]


def test_a_wallet_that_failed_is_not_that_of_the_other_one() -> None:
    """Each wallet has its own verdict."""
    refused = reads(sub_account_balance=failure(Code.SUB_ACCOUNT_GONE))

    (trading, funding, _), proven = judge_sub_account(ONE, refused, TOLERANCE)

    assert proven
    assert (trading.verdict, funding.verdict) == (Verdict.FAILED, Verdict.COMPLETE)


def test_all_reads_are_on_the_list_of_the_exchange() -> None:
    """A grant for a sync covers them."""
    asked = (*reads_of(ONE), page_read(), page_read("1700000000001"))

    targets = [OKX.request(each).target for each in asked]

    assert targets == [
        "/api/v5/account/subaccount/balances?subAcct=savings1",
        "/api/v5/asset/subaccount/balances?subAcct=savings1",
        "/api/v5/users/subaccount/list?subAcct=savings1",
        "/api/v5/account/config",
        "/api/v5/users/subaccount/list?limit=100",
        "/api/v5/users/subaccount/list?limit=100&after=1700000000001",
    ]
    assert {each.name for each in asked} <= OKX.sync_reads


def test_rows_without_uid_or_name_are_counted() -> None:
    """The others are read, and the list is not whole."""
    odd: list[Any] = [None, {}, row(uid=""), row(name=""), row(name="x" * 65), row(name="a\nb"), row(uid="ü")]

    page = parse_page([row(), *odd])

    assert page.sub_accounts == (ONE,)
    assert listed([page], more=False).unreadable == len(odd)
    assert not listed([page], more=False).whole


def test_the_next_page_begins_with_the_time_of_the_last_row() -> None:
    """A sub-account that was created in the same millisecond may be on the next page."""
    assert parse_page([row(ts="1700000000005"), row(ts="1700000000002")]).after == "1700000000003"
    assert parse_page([row(ts="x"), row(ts="")]).after is None


@given(st.lists(st.integers(0, 400), max_size=400))
def test_a_list_has_each_sub_account_once_and_says_when_it_is_cut(numbers: list[int]) -> None:
    """Pages overlap by a row."""
    rows = [row(uid=str(each), name=f"n{each}") for each in numbers]
    pages = [parse_page(rows[at : at + PAGE]) for at in range(0, max(len(rows), 1), PAGE)]

    found = listed(pages, more=False)

    assert len({each.uid for each in found.sub_accounts}) == len(found.sub_accounts) <= MAX_SUB_ACCOUNTS
    assert found.whole is (len(set(numbers)) <= MAX_SUB_ACCOUNTS)


@pytest.mark.parametrize("data", [None, {}, "list"])
def test_an_answer_of_another_shape_is_no_empty_list(data: object) -> None:
    """It would say that all sub-accounts are gone."""
    with pytest.raises(UnexpectedResponse):
        parse_page(data)

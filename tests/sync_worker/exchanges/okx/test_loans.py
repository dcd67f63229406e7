"""OKX's flexible loans are named beside the wallets: never a balance, and an unread loan is no zero."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.faults import Code, Failure, failure
from contracts.uncovered import MAX_ASSETS, Reason, UncoveredEntry
from sync_worker.exchanges.faults import Asked
from sync_worker.exchanges.okx.faults import okx_failure
from sync_worker.exchanges.okx.loans import NAME, loans_found
from sync_worker.verdicts import Fetched
from tests.sync_worker.exchanges.okx.answers import data_of
from tests.sync_worker.wording import NOW

# The documented example.
EXAMPLE = b"""{"code":"0","data":[{"ordId":"12345","collateralData":[{"amt":"0.0000097","ccy":"COMP"},
    {"amt":"0.78","ccy":"STX"}],"collateralNotionalUsd":"1.5078763","curLTV":"0.5742","liqLTV":"0.8374",
    "loanData":[{"amt":"0.86590608","ccy":"USDC"}],"loanNotionalUsd":"0.8661285","marginCallLTV":"0.7374",
    "riskWarningData":{"instId":"","liqPx":""}}],"msg":""}"""
AMOUNTS = st.decimals(0, 10**15, places=18)


def loan(collateral: Any = "100", debt: Any = "40", **more: Any) -> dict[str, Any]:
    """Return a loan in OKX's words."""
    held = {"collateralData": [{"ccy": "BTC", "amt": "1"}], "loanData": [{"ccy": "USDT", "amt": "40"}]}
    return {"ordId": "1", "collateralNotionalUsd": collateral, "loanNotionalUsd": debt, **held, **more}


def entry(*loans: Any) -> UncoveredEntry:
    """Return the entry that loans become."""
    found = loans_found(Fetched(NOW, list(loans)), NOW)
    assert found is not None
    assert found.as_of == NOW
    (only,) = found.listed or ()
    return only


def test_the_documented_loan_is_its_collateral_less_its_debt() -> None:
    """With every digit, by name, and with what it holds and owes."""
    found = loans_found(Fetched(NOW, data_of(EXAMPLE)), None)

    assert found is not None
    (said,) = found.listed or ()
    assert (said.name, said.reason, str(said.worth_usd)) == (NAME, Reason.LOAN, "0.6417478")
    assert {each.asset: str(each.amount) for each in said.holds or ()} == {"COMP": "0.0000097", "STX": "0.78"}
    assert {each.asset: str(each.amount) for each in said.owes or ()} == {"USDC": "0.86590608"}


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS), min_size=1, max_size=5))
def test_several_loans_are_one_exact_sum(loans: list[tuple[Decimal, Decimal]]) -> None:
    """No digit is lost, and a debt above the collateral is a negative worth."""
    said = entry(*(loan(str(collateral), str(debt)) for collateral, debt in loans))

    assert said.worth_usd is not None
    assert Fraction(said.worth_usd) == sum(Fraction(each) - Fraction(debt) for each, debt in loans)
    assert [(each.asset, each.amount) for each in said.holds or ()] == [("BTC", Decimal(len(loans)))]


@pytest.mark.parametrize("bad", ["", None, "x", "-1", "NaN", "1" * 41])
def test_a_worth_that_can_not_be_read_is_null_and_no_zero(bad: Any) -> None:
    """Neither half of it counts alone; the loan is named all the same."""
    assert entry(loan(bad)).worth_usd is None
    assert entry(loan(debt=bad)).worth_usd is None
    assert entry(loan(bad), loan()).worth_usd is None


@pytest.mark.parametrize(
    "bad", ["", [{}], [{"ccy": "BTC"}], [{"ccy": "BTC", "amt": "-1"}], [{"ccy": "a b", "amt": "1"}], ["x"]]
)
def test_amounts_that_can_not_be_read_are_null(bad: Any) -> None:
    """The worth does not depend on them."""
    said = entry(loan(collateralData=bad))

    assert (said.holds, said.worth_usd) == (None, Decimal(60))
    assert said.owes is not None


def test_more_assets_than_a_message_carries_are_null() -> None:
    """They are not cut, because a cut list looks whole."""
    many = [{"ccy": f"C{number}", "amt": "1"} for number in range(MAX_ASSETS + 1)]

    assert entry(loan(collateralData=many)).holds is None
    assert len(entry(loan(collateralData=many[:-1])).holds or ()) == MAX_ASSETS


@pytest.mark.parametrize("loans", [[], [loan("0", "0.00", collateralData=[], loanData=[])]])
def test_an_account_without_a_loan_has_nothing_to_name(loans: list[Any]) -> None:
    """That was looked at, so it deletes what was named before."""
    found = loans_found(Fetched(NOW, loans), None)

    assert found is not None
    assert (found.as_of, found.listed, found.error_code) == (NOW, (), None)


@pytest.mark.parametrize("code", ["51735", "58002", "50038", "59500"])
def test_an_account_that_can_have_no_loans_has_none(code: str) -> None:
    """A sub-account, demo trading, or a product that was never opened."""
    refused = okx_failure(code, "", Asked("flexible_loans"))

    found = loans_found(refused, NOW)

    assert found is not None
    assert (found.listed, found.error_code) == ((), None)
    assert loans_found(refused, None) is None


@pytest.mark.parametrize(
    "fault", [failure(Code.PERMISSION_MISSING), failure(Code.EXCHANGE_TIMEOUT), failure(Code.RATE_LIMITED)]
)
def test_loans_that_could_not_be_read_are_unknown(fault: Failure) -> None:
    """They are neither none nor those of before: the code says why."""
    found = loans_found(fault, NOW)

    assert found is not None
    assert (found.listed, found.as_of, found.error_code) == (None, None, fault.code)


@pytest.mark.parametrize("data", [None, {}, "x", ["x"], [None]])
def test_a_changed_response_is_no_empty_one(data: Any) -> None:
    """Success with another content is not read as no loan."""
    found = loans_found(Fetched(NOW, data), NOW)

    assert found is not None
    assert (found.listed, found.error_code) == (None, Code.UNEXPECTED_RESPONSE)

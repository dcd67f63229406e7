"""What OKX's lists, prices and totals say together, each of them read once."""

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from contracts.faults import Code, Failure, failure
from contracts.syncs import TotalCheck, Verdict
from sync_worker.exchanges.okx.wallets import judge_wallets
from sync_worker.verdicts import Fetched
from tests.sync_worker.scripted import FUNDING_ROW, TRADING_ROW
from tests.sync_worker.wording import NOW

BTC = TRADING_ROW | {"ccy": "BTC", "eq": "2", "cashBal": "2", "availEq": "", "availBal": "1", "eqUsd": "100"}
HELD = FUNDING_ROW | {"ccy": "BTC", "bal": "3", "availBal": "3", "frozenBal": "0"}
VALUED = [{"details": {"trading": "100", "funding": "150"}}]


class Counted(dict[str, Any]):
    """A row that counts how often each of its fields is read."""

    def __init__(self, row: dict[str, Any]) -> None:
        super().__init__(row)
        self.reads: Counter[str] = Counter()

    def get(self, key: str, default: Any = None) -> Any:
        """Count, and return a field."""
        self.reads[key] += 1
        return super().get(key, default)


def fetched(data: Any) -> Fetched:
    """Return data as they were fetched."""
    return Fetched(NOW, data)


def trading(*rows: Any) -> Fetched:
    """Write a trading account."""
    return fetched([{"totalEq": "100", "details": list(rows)}])


def test_the_rows_of_the_trading_account_are_read_once() -> None:
    """Its list and the prices for the funding account come of the same reading."""
    row = Counted(BTC)

    reads = judge_wallets(trading(row), fetched([HELD]), fetched(VALUED))

    assert [read.verdict for read in reads] == [Verdict.COMPLETE, Verdict.COMPLETE]
    assert row.reads["eq"] == row.reads["ccy"] == 1


def test_the_funding_account_is_worth_what_the_trading_account_says() -> None:
    """At the same prices its list is held against the valuation."""
    (_, funding) = judge_wallets(trading(BTC), fetched([HELD]), fetched(VALUED))

    assert funding.total_check is TotalCheck.AGREES
    assert funding.totals is not None
    assert funding.totals.listed == Decimal(150)


@pytest.mark.parametrize("lost", [failure(Code.RATE_LIMITED), Fetched(NOW, []), Fetched(NOW, [{}])])
def test_prices_that_can_not_be_read_cost_no_other_wallet(lost: Fetched | Failure) -> None:
    """The funding account is there, and its worth is not known."""
    account, funding = judge_wallets(lost, fetched([HELD]), fetched(VALUED))

    assert account.verdict is Verdict.FAILED
    assert (funding.verdict, funding.total_check) == (Verdict.COMPLETE, TotalCheck.UNCHECKED)


@pytest.mark.parametrize(
    "lost", [failure(Code.RATE_LIMITED), Fetched(NOW, []), Fetched(NOW, [{"details": {}}])]
)
def test_a_valuation_that_can_not_be_read_costs_no_wallet(lost: Fetched | Failure) -> None:
    """There is nothing to hold the wallets against."""
    reads = judge_wallets(trading(BTC), fetched([HELD]), lost)

    assert {read.total_check for read in reads} == {TotalCheck.UNCHECKED}

"""The response rows of flexible loans. No other endpoint shows their collateral."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from deploy.simulator.okx.payloads import EXACT, Question, sum_of, text_of
from deploy.simulator.okx.rows import LOAN, Row

PERCENT = Decimal("0.0001")


def flexible_loans(question: Question) -> list[Row]:
    """Return the loans with their worth in USD, all or the one of `ordId`."""
    wanted = question.query.get("ordId")
    rows = [_valued(question, LOAN | row) for row in question.account.loans]
    return [row for row in rows if wanted in (None, "", row["ordId"])]


def _valued(question: Question, row: Row) -> Row:
    collateral, debt = _usd(question, row["collateralData"]), _usd(question, row["loanData"])
    share = EXACT.quantize(EXACT.divide(debt, collateral), PERCENT)
    worths = {"collateralNotionalUsd": text_of(collateral), "loanNotionalUsd": text_of(debt)}
    return row | worths | {"curLTV": text_of(share)}


def _usd(question: Question, amounts: Iterable[Mapping[str, str]]) -> Decimal:
    return sum_of(question.in_usd(each["amt"], each["ccy"]) for each in amounts)

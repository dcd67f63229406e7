"""Reading a list in the worker's loop costs time linear in its rows, not quadratic."""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from contracts.values import Balance
from sync_worker.exchanges.okx.lists import NAMING
from sync_worker.exchanges.rows import Row, read_rows

CURRENCIES = 1000
NUMBER = Counter[str]()


class Compared(str):
    """The name of a currency that counts each comparison."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        NUMBER["comparisons"] += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def doubled(fields: Mapping[str, Any]) -> Row:
    """Return a row that names its currency."""
    return Row(Balance(Compared(fields["ccy"]), Decimal(1)), Decimal(1))


def test_currencies_that_stand_twice_cost_no_more_than_their_rows() -> None:
    """A list with each currency twice costs a few comparisons a row and delays no sync."""
    NUMBER.clear()
    once = [{"ccy": f"C{number}"} for number in range(CURRENCIES)]

    rows = read_rows([*once, {"ccy": "BTC"}, *once], doubled, NAMING)

    assert [row.asset for row in rows.read] == ["BTC"]
    assert len(rows.unreadable) == 2 * CURRENCIES
    assert {row.usd for row in rows.unreadable} == {Decimal(1), Decimal(0)}
    assert NUMBER["comparisons"] <= 20 * CURRENCIES

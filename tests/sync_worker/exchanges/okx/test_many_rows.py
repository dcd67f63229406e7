"""The work that a list costs grows with its rows, not with their square: it is done in the worker's loop."""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from contracts.values import Balance
from sync_worker.exchanges.okx.rows import Row, read_rows

CURRENCIES = 1000
NUMBER = Counter[str]()


class Compared(str):
    """The name of a currency, each comparison of which is counted."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        NUMBER["comparisons"] += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def doubled(fields: Mapping[str, Any]) -> Row:
    """Read a row that names its currency."""
    return Row(Balance(Compared(fields["ccy"]), Decimal(1)), Decimal(1))


def test_currencies_that_stand_twice_cost_no_more_than_their_rows() -> None:
    """An exchange that lists each currency twice costs a few comparisons a row and holds up no sync."""
    NUMBER.clear()
    once = [{"ccy": f"C{number}"} for number in range(CURRENCIES)]

    rows = read_rows([*once, {"ccy": "BTC"}, *once], doubled)

    assert [row.asset for row in rows.read] == ["BTC"]
    assert len(rows.unreadable) == 2 * CURRENCIES
    assert {row.usd for row in rows.unreadable} == {Decimal(1), Decimal(0)}
    assert NUMBER["comparisons"] <= 20 * CURRENCIES

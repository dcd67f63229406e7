"""Rows of OKX's lists: which fields are read, which are not, and one bad row affects no other."""

import json
from decimal import Decimal
from typing import Any

import pytest

from contracts.syncs import UnreadableRow
from contracts.values import Balance
from sync_worker.exchanges.okx.payloads import parse_funding, parse_trading
from tests.sync_worker.exchanges.okx.answers import (
    BTC,
    ETH,
    IN_FUNDING,
    READ_FIELDS,
    account,
    data_of,
    row_with,
    trading,
)


@pytest.mark.parametrize(
    ("fields", "balance"),
    [
        ({"availEq": ""}, Balance("BTC", Decimal("1.5"), Decimal(1), Decimal("0.5"))),
        ({"availEq": "0.7"}, Balance("BTC", Decimal("1.5"), Decimal("0.7"), Decimal("0.5"))),
        ({"availEq": "0"}, Balance("BTC", Decimal("1.5"), Decimal(0), Decimal("0.5"))),
        ({"availBal": "", "frozenBal": ""}, Balance("BTC", Decimal("1.5"))),
        ({"eq": "-5.5", "availEq": "0"}, Balance("BTC", Decimal("-5.5"), Decimal(0), Decimal("0.5"))),
        ({"liab": "3"}, Balance("BTC", Decimal("1.5"), Decimal(1), Decimal("0.5"), Decimal(3))),
        (
            {"liab": "-3", "interest": "-0.1"},
            Balance("BTC", Decimal("1.5"), Decimal(1), Decimal("0.5"), Decimal(3), interest=Decimal("0.1")),
        ),
        ({"eq": 1.5}, Balance("BTC", Decimal("1.5"), Decimal(1), Decimal("0.5"))),
        ({"eq": "150E-2", "unknown": [1, {}]}, Balance("BTC", Decimal("1.50"), Decimal(1), Decimal("0.5"))),
    ],
)
def test_a_row_says_what_is_there_and_nothing_else(fields: dict[str, Any], balance: Balance) -> None:
    """An empty text is absent, not zero; negative equity stays negative; unknown fields do not matter."""
    assert row_with(**fields) == balance


def test_accrued_interest_stands_apart_from_the_debt() -> None:
    """OKX does not say whether `liab` contains it, so neither is added to the other, nor taken from `eq`."""
    owing = row_with(eq="-3.5", liab="3.5", interest="0.25")

    assert (owing.total, owing.borrowed, owing.interest) == (Decimal("-3.5"), Decimal("3.5"), Decimal("0.25"))
    assert row_with(liab="3.5").interest is None


@pytest.mark.parametrize("absent", ["missing", None, ""])
@pytest.mark.parametrize("field", sorted(BTC.keys() - {"ccy", "eq"}))
def test_a_field_that_is_not_needed_may_be_absent(field: str, absent: str | None) -> None:
    """It is null, and the amounts in the other fields do not change."""
    row = BTC | {field: absent}
    if absent == "missing":
        del row[field]

    (balance,) = trading(row).balances

    known = {"availBal": balance.available, "frozenBal": balance.locked, "liab": balance.borrowed}
    assert balance.total == Decimal("1.5")
    assert known == {"availBal": Decimal(1), "frozenBal": Decimal("0.5"), "liab": None} | (
        {field: None} if field in known else {}
    )


@pytest.mark.parametrize("absent", ["missing", None, ""])
@pytest.mark.parametrize("field", ["availBal", "frozenBal"])
def test_a_field_of_the_funding_list_may_be_absent(field: str, absent: str | None) -> None:
    """Only the currency and its balance are required."""
    row = IN_FUNDING | {field: absent}
    if absent == "missing":
        del row[field]

    (balance,) = parse_funding([row]).balances

    assert (balance.total, balance.available is None) == (Decimal(2), field == "availBal")


UNREADABLE: dict[str, tuple[Any, UnreadableRow]] = {
    "no amount": (BTC | {"eq": ""}, UnreadableRow("eq is missing", "BTC", Decimal(96000))),
    "null": (BTC | {"eq": None}, UnreadableRow("eq is missing", "BTC", Decimal(96000))),
    "no name": (BTC | {"ccy": ""}, UnreadableRow("the currency has no name", None, Decimal(96000))),
    "a number as name": (BTC | {"ccy": 1}, UnreadableRow("the currency has no name", None, Decimal(96000))),
    "no object": ("BTC", UnreadableRow("it is no object")),
    "not even that": (None, UnreadableRow("it is no object")),
    "negative frozen": (
        BTC | {"frozenBal": "-0.1"},
        UnreadableRow("frozenBal is negative", "BTC", Decimal(96000)),
    ),
    "no worth": (
        BTC | {"eqUsd": "x"},
        UnreadableRow("eqUsd can not be read: not a decimal amount", "BTC"),
    ),
}


@pytest.mark.parametrize(("row", "told"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_row_that_can_not_be_read_costs_no_other(row: Any, told: UnreadableRow) -> None:
    """The other row is read; the bad one is reported with reason, currency and worth."""
    listed = trading(row, ETH)

    assert listed.balances == (Balance("ETH", Decimal(2), Decimal(2), Decimal(0)),)
    assert listed.unreadable == (told,)


@pytest.mark.parametrize(
    "fields",
    [
        {"eq": "NaN"},
        {"eq": float("nan")},
        {"eq": "Infinity"},
        {"eq": float("-inf")},
        {"eq": "1,5"},
        {"eq": " 1"},
        {"eq": "0x1F"},
        {"eq": "1_000"},
        {"eq": "\u0661"},
        {"eq": "1e400"},
        {"eq": "1" * 81},
        {"eq": int("9" * 400)},
        {"eq": True},
        {"eq": []},
        {"eq": {}},
        {"ccy": "B\ud800C"},
        {"ccy": "B\0C"},
        {"ccy": "B C"},
        {"ccy": "X" * 65},
        {"ccy": None},
        {"ccy": []},
        {"frozenBal": "x"},
        {"availEq": False},
        {"availBal": "canary"},
        {"cashBal": {}},
        {"liab": [1]},
        {"eqUsd": "canary"},
        {"unknown": float("nan")},
        {"unknown": [{"deep": float("inf")}]},
    ],
)
def test_what_no_row_can_say_is_not_read(fields: dict[str, Any]) -> None:
    """Such a row is neither dropped silently nor read as zero, and its content is not repeated."""
    listed = trading(BTC | fields, ETH)

    assert [each.asset for each in listed.balances] == ["ETH"]
    (told,) = listed.unreadable
    assert "canary" not in told.reason
    assert "ETH" not in (told.asset or "")


@pytest.mark.parametrize("field", [*READ_FIELDS, "uTime"])
def test_a_row_with_a_field_twice_is_not_read(field: str) -> None:
    """Neither value counts, equal or not."""
    for second in (BTC[field], "0"):
        text = json.dumps(BTC)[:-1] + f', "{field}": {json.dumps(second)}}}'
        listed = parse_trading(data_of(account("@", ETH).replace(b'"@"', text.encode())))

        asset = None if field == "ccy" else "BTC"
        usd = None if field == "eqUsd" else Decimal(96000)
        assert listed.unreadable == (UnreadableRow("a field stands twice", asset, usd),)
        assert [each.asset for each in listed.balances] == ["ETH"]


def test_a_currency_that_stands_twice_is_not_read() -> None:
    """Neither of its rows counts, not even the readable one.

    Two equal rows have the worth of one; the worth of two different ones is unknown.
    """
    listed = trading(BTC, ETH, BTC | {"eq": "7", "eqUsd": "5"})
    same = trading(BTC, ETH, BTC)
    beside_garbage = trading(BTC, ETH, BTC | {"eq": "x"})

    reason = "the currency stands twice"
    assert listed.unreadable == (UnreadableRow(reason, "BTC"),) * 2
    assert same.unreadable == tuple(UnreadableRow(reason, "BTC", Decimal(usd)) for usd in (96000, 0))
    assert {row.reason for row in beside_garbage.unreadable} == {reason}
    assert [each.asset for each in (*listed.balances, *beside_garbage.balances)] == ["ETH", "ETH"]


@pytest.mark.parametrize(
    ("fields", "readable"),
    [
        ({"availBal": "1.6"}, False),
        ({"availEq": "1.6"}, False),
        ({"availEq": "1.4", "availBal": "1.6"}, True),  # hidden fields are not compared
        ({"availBal": "1.6", "cashBal": "1.7"}, True),
        ({"availBal": "1.6", "cashBal": "1.55"}, False),
        ({"availBal": "1.5", "cashBal": "0"}, True),
        ({"availBal": "1.6", "cashBal": ""}, False),
        ({"eq": "0", "availBal": "0.1", "cashBal": "0"}, False),
        ({"eq": "-1", "availBal": "0.1", "cashBal": "0"}, True),
        ({"eq": "-1", "availBal": "0", "cashBal": "-1"}, True),
        ({"eq": "0", "cashBal": "0", "availBal": "0"}, True),
        # From OKX's documentation: two fields of one amount, computed in floats.
        ({"eq": "4834.317093622894", "cashBal": "4834.317093622894", "availEq": "4834.3170936228945"}, True),
        ({"frozenBal": "-1"}, False),
        ({"frozenBal": "-0"}, True),
    ],
)
def test_a_row_that_denies_itself_is_not_read(fields: dict[str, str], readable: bool) -> None:  # noqa: FBT001
    """More available than the total, or a negative amount on hold, is a mistake; a debt is valid."""
    assert bool(trading(BTC | fields, ETH).unreadable) is not readable


@pytest.mark.parametrize(
    ("fields", "readable"),
    [
        ({"availBal": "2.1"}, False),
        ({"availBal": "2"}, True),
        ({"frozenBal": "-0.5"}, False),
        ({"bal": "-1", "availBal": "0"}, True),
    ],
)
def test_a_row_of_the_funding_list_that_denies_itself_is_not_read(
    fields: dict[str, str],
    readable: bool,  # noqa: FBT001
) -> None:
    """The rules are those of the trading list."""
    listed = parse_funding([IN_FUNDING | fields, IN_FUNDING | {"ccy": "ETH"}])

    assert bool(listed.unreadable) is not readable


@pytest.mark.parametrize(("sent", "told"), [("50.5", "50.5"), ("-50.5", "50.5"), ("0", "0"), ("-0", "0")])
def test_a_debt_is_positive_whatever_its_sign_on_the_wire(sent: str, told: str) -> None:
    """Some parts of OKX write a debt with a minus."""
    assert str(row_with(liab=sent, crossLiab=sent, interest=sent).borrowed) == told

"""Whole lists of OKX: unreadable rows are reported, old data are marked, every list has a verdict."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.faults import Code
from contracts.syncs import TotalCheck, UnreadableRow, Verdict, WalletRead
from contracts.values import Balance
from contracts.wire.envelope import decode, encode
from deploy.simulator.okx.rows import FUNDING_ROW, TRADING_ROW
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.okx.payloads import parse_funding, parse_trading
from sync_worker.exchanges.rows import MAX_ROWS
from sync_worker.verdicts import MAX_UNREADABLE, Fetched, judge
from tests.sync_worker.exchanges.okx.answers import (
    BTC,
    ETH,
    IN_FUNDING,
    account,
    data_of,
    judged,
    trading,
)
from tests.sync_worker.wording import NOW

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("rows", [[BTC | {"eq": ""}], [None, {}, []], [BTC, BTC]])
def test_a_list_of_which_nothing_can_be_read_was_not_read(rows: list[Any]) -> None:
    """The wallet failed: it is not empty."""
    read = judged(account(*rows), "100")

    assert (read.verdict, read.error_code) == (Verdict.FAILED, Code.UNEXPECTED_RESPONSE)
    assert read.balances is None


def test_many_unreadable_rows_are_counted_and_not_all_told() -> None:
    """The message limits the listed rows, but not their number and the sum of their worth."""
    rows = [BTC | {"ccy": f"C{number}", "eq": "x", "eqUsd": "1"} for number in range(MAX_UNREADABLE + 50)]

    read = judged(account(ETH, *rows))

    assert (len(read.unreadable), read.unreadable_count) == (MAX_UNREADABLE, MAX_UNREADABLE + 50)
    told = f"{MAX_UNREADABLE + 50} of {MAX_UNREADABLE + 51} rows could not be read: eq can not be read"
    assert str(read.error).startswith(told)
    assert read.totals is not None
    assert read.totals.listed == MAX_UNREADABLE + 50 + 6400


def test_a_list_that_no_outcome_carries_is_too_long() -> None:
    """The connector does not read it row by row, which would delay every other sync for a second."""
    read = judge("funding", parse_funding, Fetched(NOW, [None] * (MAX_ROWS + 1)), None)

    assert (read.verdict, read.error_code) == (Verdict.FAILED, Code.TOO_MANY_ASSETS)


def test_several_reasons_are_told_each_once() -> None:
    """The words stay short, however many rows there are."""
    rows = [BTC | {"ccy": ""}] * 5 + [BTC | {"eq": ""}, BTC | {"ccy": "A", "frozenBal": "-1"}, None]

    error = judged(account(ETH, *rows)).error

    assert error == (
        "8 of 9 rows could not be read: "
        "the currency has no name; eq is missing; frozenBal is negative; and more."
    )


# Reports of other users, in the documented shape.
def test_a_dust_row_without_a_name_hides_nothing() -> None:
    """The wallet is incomplete and shows its other rows; omitted rows are reported and count in the sum."""
    bitcoin = BTC | {
        "eq": "0.049",
        "cashBal": "0.049",
        "availBal": "0.049",
        "frozenBal": "0",
        "eqUsd": "3136",
    }
    usdt = TRADING_ROW | {"ccy": "USDT", "eq": "1834.317093622894", "eqUsd": "1833.4"}
    dust = TRADING_ROW | {"ccy": "", "eq": "0.0278185", "cashBal": "0.0278185", "availBal": "0.0278185"}

    read = judged(account(bitcoin, usdt, dust | {"eqUsd": "0.0000000278568895"}, totalEq="4969.4"), "4969.4")

    assert (read.verdict, read.error_code) == (Verdict.INCOMPLETE, Code.UNREADABLE_ROWS)
    assert read.error == "1 of 3 rows could not be read: the currency has no name."
    told = {each.asset: str(each.total) for each in read.balances or ()}
    assert told == {"BTC": "0.049", "USDT": "1834.317093622894"}
    assert read.unreadable == (
        UnreadableRow("the currency has no name", None, Decimal("0.0000000278568895")),
    )
    assert (read.total_check, read.difference_usd) == (TotalCheck.AGREES, None)
    assert read.totals is not None
    assert read.totals.fits
    assert read.totals.listed == Decimal("4969.4000000278568895")


def test_without_an_available_balance_the_available_equity_is_shown() -> None:
    """A row without the key availBal has its total, and `available` is availEq if present, else null."""
    row = TRADING_ROW | {
        "ccy": "USDT",
        "eq": "100.5",
        "cashBal": "100.5",
        "eqUsd": "100.4",
        "availEq": "95.25",
    }
    del row["availBal"]

    for equity, available in (("95.25", Decimal("95.25")), ("", None)):
        read = judged(account(row | {"availEq": equity}, totalEq="100.4"), "100.4")

        assert (read.verdict, read.total_check) == (Verdict.COMPLETE, TotalCheck.AGREES)
        assert read.balances == (Balance("USDT", Decimal("100.5"), available, Decimal(0)),)


def test_a_negative_liability_is_a_debt() -> None:
    """The borrowed amount is a positive number, and the rest of the row does not change."""
    row = TRADING_ROW | {"ccy": "USDT", "eq": "950", "cashBal": "950", "availEq": "0", "eqUsd": "949"}
    row |= {"liab": "-50.5", "crossLiab": "-50.5", "interest": "-0.5"}

    read = judged(account(row, totalEq="949"), "949")

    assert read.verdict is Verdict.COMPLETE
    owed = {"borrowed": Decimal("50.5"), "interest": Decimal("0.5")}
    assert read.balances == (Balance("USDT", Decimal(950), Decimal(0), Decimal(0), **owed),)


NONSENSE: tuple[Any, ...] = (
    "",
    None,
    "0",
    "1",
    "-1",
    "soon",
    "1.5",
    "9" * 15,
    "9" * 400,
    [],
    {},
    True,
    "\u0661",
)
DAY_OLD = NOW - timedelta(days=1, seconds=1)


def milliseconds(moment: datetime) -> str:
    """Return a time in OKX's format."""
    return str(int(moment.timestamp() * 1000))


@pytest.mark.parametrize(
    ("updated", "age", "reported"),
    [
        (milliseconds(NOW), None, None),
        (milliseconds(NOW - timedelta(hours=23)), 60, None),
        (milliseconds(DAY_OLD), None, DAY_OLD),
        (int(milliseconds(DAY_OLD)), None, DAY_OLD),
        (milliseconds(NOW), 86401, DAY_OLD),
        (milliseconds(DAY_OLD), 172800, NOW - timedelta(days=2)),
        (milliseconds(NOW - timedelta(days=30)), 86401, NOW - timedelta(days=30)),
        (milliseconds(NOW + timedelta(days=9)), 86401, DAY_OLD),
        *((nonsense, None, None) for nonsense in NONSENSE),
        ("", 2**31, None),
    ],
)
def test_data_of_another_day_say_so(updated: Any, age: int | None, reported: datetime | None) -> None:
    """The account's own time and a cache's age count; the wallet is complete nevertheless."""
    fetched = Fetched(NOW, data_of(account(ETH, uTime=updated, totalEq="6400")), age)

    read = judge("trading", parse_trading, fetched, Decimal(6400))

    assert read.reported_at == reported
    assert (read.verdict, read.total_check) == (Verdict.COMPLETE, TotalCheck.AGREES)


def test_a_funding_list_from_a_cache_says_so() -> None:
    """It has no time of its own."""
    read = judge("funding", parse_funding, Fetched(NOW, [IN_FUNDING], 86401), None)

    assert read.reported_at == DAY_OLD
    assert DAY_OLD.tzinfo is UTC


@given(data=JSON | JSON.map(lambda row: [row]) | st.lists(JSON).map(lambda rows: [{"details": rows}]))
def test_whatever_comes_is_a_list_or_no_answer(data: Any) -> None:
    """Reading raises only UnexpectedResponse, and every row is read or reported."""
    understood = data_of(json.dumps({"code": "0", "data": data}).encode())
    for parse in (parse_trading, parse_funding):
        with suppress(UnexpectedResponse):
            listed = parse(understood)
            assert listed.balances or not listed.unreadable
        judge("trading", parse, Fetched(NOW, understood), Decimal(1))


@given(field=st.sampled_from(sorted(BTC)), value=JSON)
def test_one_field_costs_one_row_at_most(field: str, value: Any) -> None:
    """Whatever a field contains, the row beside it does not change."""
    listed = trading(ETH, BTC | {field: value} if value != "ETH" else BTC)

    assert listed.balances[0] == Balance("ETH", Decimal(2), Decimal(2), Decimal(0))
    assert len(listed.balances) + len(listed.unreadable) == 2


AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False).map(str) | st.just("") | st.text(max_size=3)


@given(
    rows=st.lists(st.fixed_dictionaries({"ccy": st.text(max_size=3), "eq": AMOUNTS, "eqUsd": AMOUNTS})),
    total=AMOUNTS,
    valued=st.none() | st.decimals(-(10**39), 10**39, allow_nan=False, places=4),
)
def test_every_amount_has_a_verdict(rows: list[dict[str, str]], total: str, valued: Decimal | None) -> None:
    """However large or small the amounts and prices, there is a verdict that a message carries whole."""
    data = data_of(account(*rows, totalEq=total))
    try:
        prices = parse_trading(data).prices
    except UnexpectedResponse:
        prices = {}
    in_funding = [{"ccy": row["ccy"], "bal": row["eq"]} for row in rows]

    reads = [
        judge("trading", parse_trading, Fetched(NOW, data), valued),
        judge("funding", lambda rows: parse_funding(rows, prices), Fetched(NOW, in_funding), valued),
    ]

    assert [read.wallet for read in reads] == ["trading", "funding"]


def test_a_funding_row_that_stands_twice_costs_no_other() -> None:
    """Its worth, a price times an amount, may have more digits than a message carries."""
    shib = FUNDING_ROW | {"ccy": "SHIB", "bal": "0.00000001", "availBal": "", "frozenBal": ""}
    prices = {"SHIB": Decimal("22.7") / Decimal(3_000_000), "BTC": Decimal(64000)}

    read = judge(
        "funding",
        partial(parse_funding, prices=prices),
        Fetched(NOW, [shib, shib, IN_FUNDING]),
        None,
    )

    assert (read.verdict, read.unreadable_count) == (Verdict.INCOMPLETE, 2)
    assert [each.asset for each in read.balances or ()] == ["BTC"]
    assert decode(encode(read), WalletRead) == read

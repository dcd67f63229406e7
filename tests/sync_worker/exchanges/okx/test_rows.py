"""Rows of OKX's lists: what is read of each, what is not, and that one costs no other."""

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
from deploy.simulator.rows import ACCOUNT_BALANCE, FUNDING_ROW, TRADING_ROW
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.okx.payloads import parse_envelope, parse_funding, parse_trading
from sync_worker.exchanges.okx.rows import MAX_ROWS
from sync_worker.verdicts import MAX_UNREADABLE, Fetched, Listed, judge
from tests.sync_worker.wording import NOW

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
BTC = TRADING_ROW | {
    "ccy": "BTC",
    "eq": "1.5",
    "cashBal": "1.5",
    "availBal": "1",
    "frozenBal": "0.5",
    "eqUsd": "96000",
}
ETH = TRADING_ROW | {"ccy": "ETH", "eq": "2", "cashBal": "2", "availBal": "2", "eqUsd": "6400"}
IN_FUNDING = FUNDING_ROW | {"ccy": "BTC", "bal": "2", "availBal": "1.5", "frozenBal": "0.5"}
READ_FIELDS = ("ccy", "eq", "cashBal", "availEq", "availBal", "frozenBal", "liab", "eqUsd")


def account(*rows: Any, **fields: Any) -> bytes:
    """Write an answer with a trading account."""
    return json.dumps({"code": "0", "data": [ACCOUNT_BALANCE | fields | {"details": rows}]}).encode()


def data_of(body: bytes) -> Any:
    """Read an answer as it comes from the wire."""
    envelope = parse_envelope(body)
    assert envelope is not None
    return envelope.data


def trading(*rows: Any, **fields: Any) -> Listed:
    """Read a trading account with these rows."""
    return parse_trading(data_of(account(*rows, **fields)))


def row_with(**fields: Any) -> Balance:
    """Read one row of the trading account."""
    (balance,) = trading(BTC | fields).balances
    return balance


def judged(body: bytes, valued: str | None = None) -> WalletRead:
    """Give the verdict on a trading wallet."""
    return judge("trading", parse_trading, Fetched(NOW, data_of(body)), Decimal(valued) if valued else None)


@pytest.mark.parametrize(
    ("fields", "balance"),
    [
        ({"availEq": ""}, Balance("BTC", Decimal("1.5"), Decimal(1), Decimal("0.5"))),
        ({"availEq": "0.7"}, Balance("BTC", Decimal("1.5"), Decimal("0.7"), Decimal("0.5"))),
        ({"availEq": "0"}, Balance("BTC", Decimal("1.5"), Decimal(0), Decimal("0.5"))),
        ({"availBal": "", "frozenBal": ""}, Balance("BTC", Decimal("1.5"))),
        ({"eq": "-5.5", "availEq": "0"}, Balance("BTC", Decimal("-5.5"), Decimal(0), Decimal("0.5"))),
        ({"liab": "3"}, Balance("BTC", Decimal("1.5"), Decimal(1), Decimal("0.5"), Decimal(3))),
        ({"eq": 1.5}, Balance("BTC", Decimal("1.5"), Decimal(1), Decimal("0.5"))),
        ({"eq": "150E-2", "unknown": [1, {}]}, Balance("BTC", Decimal("1.50"), Decimal(1), Decimal("0.5"))),
    ],
)
def test_a_row_says_what_is_there_and_nothing_else(fields: dict[str, Any], balance: Balance) -> None:
    """An empty text is absent, not zero; negative equity stays negative; unknown fields do not matter."""
    assert row_with(**fields) == balance


@pytest.mark.parametrize("absent", ["missing", None, ""])
@pytest.mark.parametrize("field", sorted(BTC.keys() - {"ccy", "eq"}))
def test_a_field_that_is_not_needed_may_be_absent(field: str, absent: str | None) -> None:
    """It is null, and the amounts in the other fields are what they are."""
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
    """Only the currency and its balance are needed."""
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
    """The other one is there; of this one it is told why, which currency it is of and what it is worth."""
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
    """Such a row is neither dropped without a word nor taken for zero, and its content is not repeated."""
    listed = trading(BTC | fields, ETH)

    assert [each.asset for each in listed.balances] == ["ETH"]
    (told,) = listed.unreadable
    assert "canary" not in told.reason
    assert "ETH" not in (told.asset or "")


@pytest.mark.parametrize("field", [*READ_FIELDS, "uTime"])
def test_a_row_with_a_field_twice_is_not_read(field: str) -> None:
    """None of the two is taken, whether they are equal or not."""
    for second in (BTC[field], "0"):
        text = json.dumps(BTC)[:-1] + f', "{field}": {json.dumps(second)}}}'
        listed = parse_trading(data_of(account("@", ETH).replace(b'"@"', text.encode())))

        asset = None if field == "ccy" else "BTC"
        usd = None if field == "eqUsd" else Decimal(96000)
        assert listed.unreadable == (UnreadableRow("a field stands twice", asset, usd),)
        assert [each.asset for each in listed.balances] == ["ETH"]


def test_a_currency_that_stands_twice_is_not_read() -> None:
    """Neither of its rows is believed, not even the one that could be read.

    The same row twice is worth what it is once; what two different ones are worth is not known.
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
        ({"availEq": "1.4", "availBal": "1.6"}, True),  # what is not shown is not compared
        ({"availBal": "1.6", "cashBal": "1.7"}, True),
        ({"availBal": "1.6", "cashBal": "1.55"}, False),
        ({"availBal": "1.5", "cashBal": "0"}, True),
        ({"availBal": "1.6", "cashBal": ""}, False),
        ({"eq": "0", "availBal": "0.1", "cashBal": "0"}, False),
        ({"eq": "-1", "availBal": "0.1", "cashBal": "0"}, True),
        ({"eq": "-1", "availBal": "0", "cashBal": "-1"}, True),
        ({"eq": "0", "cashBal": "0", "availBal": "0"}, True),
        # As OKX's documentation shows them: two fields of one amount, computed in floats.
        ({"eq": "4834.317093622894", "cashBal": "4834.317093622894", "availEq": "4834.3170936228945"}, True),
        ({"frozenBal": "-1"}, False),
        ({"frozenBal": "-0"}, True),
    ],
)
def test_a_row_that_denies_itself_is_not_read(fields: dict[str, str], readable: bool) -> None:  # noqa: FBT001
    """More available than there is, or a negative amount on hold, is a mistake; a debt is none."""
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
    """Some parts of OKX write what is owed with a minus."""
    assert str(row_with(liab=sent, crossLiab=sent, interest=sent).borrowed) == told


@pytest.mark.parametrize("rows", [[BTC | {"eq": ""}], [None, {}, []], [BTC, BTC]])
def test_a_list_of_which_nothing_can_be_read_was_not_read(rows: list[Any]) -> None:
    """The wallet failed: it is not empty."""
    read = judged(account(*rows), "100")

    assert (read.verdict, read.error_code) == (Verdict.FAILED, Code.UNEXPECTED_RESPONSE)
    assert read.balances is None


def test_many_unreadable_rows_are_counted_and_not_all_told() -> None:
    """The message has a bound; the number of rows and the sum of their worth have none."""
    rows = [BTC | {"ccy": f"C{number}", "eq": "x", "eqUsd": "1"} for number in range(MAX_UNREADABLE + 50)]

    read = judged(account(ETH, *rows))

    assert (len(read.unreadable), read.unreadable_count) == (MAX_UNREADABLE, MAX_UNREADABLE + 50)
    told = f"{MAX_UNREADABLE + 50} of {MAX_UNREADABLE + 51} rows could not be read: eq can not be read"
    assert str(read.error).startswith(told)
    assert read.totals is not None
    assert read.totals.listed == MAX_UNREADABLE + 50 + 6400


def test_a_list_that_no_outcome_carries_is_too_long() -> None:
    """It is not read row by row: that would hold up every other sync for a second."""
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


# Reports of others, in the documented shape.
def test_a_dust_row_without_a_name_hides_nothing() -> None:
    """The wallet is incomplete and shows its other rows; what is left out is told and counted in the sum."""
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
    """A row without the key availBal has its total, and is available as far as availEq says; else null."""
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
    """What is borrowed is a positive number, and the rest of the row is as it is."""
    row = TRADING_ROW | {"ccy": "USDT", "eq": "950", "cashBal": "950", "availEq": "0", "eqUsd": "949"}
    row |= {"liab": "-50.5", "crossLiab": "-50.5", "interest": "-0.5"}

    read = judged(account(row, totalEq="949"), "949")

    assert read.verdict is Verdict.COMPLETE
    assert read.balances == (Balance("USDT", Decimal(950), Decimal(0), Decimal(0), Decimal("50.5")),)


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
    """Write a time as OKX does."""
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
    """The account's own time and a cache's age count; the wallet is complete all the same."""
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
    """Nothing but UnexpectedResponse leaves the reading, and every row is read or told."""
    understood = data_of(json.dumps({"code": "0", "data": data}).encode())
    for parse in (parse_trading, parse_funding):
        with suppress(UnexpectedResponse):
            listed = parse(understood)
            assert listed.balances or not listed.unreadable
        judge("trading", parse, Fetched(NOW, understood), Decimal(1))


@given(field=st.sampled_from(sorted(BTC)), value=JSON)
def test_one_field_costs_one_row_at_most(field: str, value: Any) -> None:
    """Whatever stands in a field, the row beside it is unchanged."""
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
    """However large or small the amounts and prices, there is a verdict, and all of it can be sent."""
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

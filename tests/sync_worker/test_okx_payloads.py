"""OKX's answers: documented ones, all kinds of amounts, and garbage."""

import json
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.bus.envelope import decode, encode
from contracts.catalogue import OKX
from contracts.faults import Code, Failure
from contracts.syncs import SyncCompleted, SyncOutcome, SyncRequested
from contracts.values import Balance
from sync_worker.errors import UnexpectedResponse
from sync_worker.okx_payloads import (
    parse_config,
    parse_envelope,
    parse_funding,
    parse_prices,
    parse_time,
    parse_trading,
    parse_valuation,
)
from sync_worker.sync import Reading, outcome
from sync_worker.verdicts import Fetched, judge
from tests.sync_worker.scripted import FUNDING_ROW, TRADING_ROW
from tests.sync_worker.wording import NOW, a_request

PARSERS = {
    "account_balance": parse_trading,
    "asset_balances": parse_funding,
    "asset_asset-valuation": parse_valuation,
    "account_config": parse_config,
    "public_time": parse_time,
}
AMOUNTS = st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,18})?", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ROW: dict[str, Any] = TRADING_ROW | {"ccy": "BTC", "eq": "1.5", "availBal": "1", "frozenBal": "0.5"}
GOOD: dict[str, Any] = FUNDING_ROW | {"ccy": "GOOD", "bal": "1"}


def data_of(document: Any) -> Any:
    """Read a document as it would come from the wire."""
    envelope = parse_envelope(json.dumps(document).encode())
    assert envelope is not None
    return envelope.data


def trading(**fields: Any) -> Balance:
    """Read one row of the trading account."""
    (balance,) = parse_trading(data_of(account({**ROW, **fields}))).balances
    return balance


def account(*details: Any, total: str = "") -> Any:
    """Write an answer with a trading account."""
    return {"code": "0", "data": [{"totalEq": total, "details": details}]}


@pytest.mark.parametrize("name", PARSERS)
def test_the_documented_example_is_read(facts: Path, name: str) -> None:
    """What the exchange's documentation shows is understood."""
    envelope = parse_envelope((facts / "doc-examples" / "okx" / f"{name}.0.json").read_bytes())

    assert envelope is not None
    assert PARSERS[name](envelope.data)


def test_the_documented_trading_account(facts: Path) -> None:
    """Total is the equity, available the available equity, to the last digit."""
    envelope = parse_envelope((facts / "doc-examples" / "okx" / "account_balance.0.json").read_bytes())
    assert envelope is not None

    (usdt,) = parse_trading(envelope.data).balances

    assert usdt == Balance(
        "USDT",
        Decimal("4992.890093622894"),
        Decimal("4834.3170936228935"),
        Decimal("158.573"),
        Decimal(0),
    )


@pytest.mark.parametrize(
    ("fields", "balance"),
    [
        ({"availEq": ""}, Balance("BTC", Decimal("1.5"), Decimal(1), Decimal("0.5"))),
        ({"availEq": "0.7"}, Balance("BTC", Decimal("1.5"), Decimal("0.7"), Decimal("0.5"))),
        ({"availBal": "", "frozenBal": ""}, Balance("BTC", Decimal("1.5"))),
        ({"eq": "-5.5", "availEq": "0"}, Balance("BTC", Decimal("-5.5"), Decimal(0), Decimal("0.5"))),
        ({"liab": "3"}, Balance("BTC", Decimal("1.5"), Decimal(1), Decimal("0.5"), Decimal(3))),
        ({"eq": 1.5}, Balance("BTC", Decimal("1.5"), Decimal(1), Decimal("0.5"))),
        ({"eq": "1E-8", "unknown": [1, {}]}, Balance("BTC", Decimal("1E-8"), Decimal(1), Decimal("0.5"))),
    ],
)
def test_a_row_says_what_is_there_and_nothing_else(fields: dict[str, Any], balance: Balance) -> None:
    """An empty text is absent, not zero; a debt stays negative; unknown fields do not matter."""
    assert trading(**fields) == balance


@pytest.mark.parametrize(
    "fields",
    [
        {"eq": ""},
        {"eq": None},
        {"eq": "NaN"},
        {"eq": "Infinity"},
        {"eq": "1,5"},
        {"eq": " 1"},
        {"eq": "1e400"},
        {"eq": "1" * 81},
        {"eq": True},
        {"ccy": ""},
        {"ccy": "B\ud800C"},
        {"ccy": "B\0C"},
        {"ccy": "X" * 65},
        {"ccy": None},
        {"frozenBal": "x"},
        {"liab": None},
    ],
)
def test_a_row_that_can_not_be_read_fails_its_wallet(fields: dict[str, Any]) -> None:
    """It is neither dropped nor taken for zero, and what it holds is not repeated."""
    with pytest.raises(Failure) as caught:
        trading(**fields)

    assert caught.value.code == Code.UNEXPECTED_RESPONSE


@pytest.mark.parametrize("field", sorted(TRADING_ROW))
def test_a_field_that_is_not_there_fails_the_wallet(field: str) -> None:
    """Another field must not stand in for it, nor its absence be taken for "does not apply"."""
    row = {name: value for name, value in ROW.items() if name != field}

    with pytest.raises(Failure):
        parse_trading(data_of(account(row)))


@pytest.mark.parametrize(
    "document",
    [
        {"code": "0"},
        {"code": "0", "data": None},
        {"code": "0", "data": []},
        {"code": "0", "data": {}},
        {"code": "0", "data": [{}]},
        {"code": "0", "data": [{"totalEq": "", "details": {}}]},
        {"code": "0", "data": [{"details": []}]},
        {"code": "0", "data": [{"totalEq": "", "details": []}] * 2},
        account(ROW, ROW),
    ],
)
def test_a_trading_account_of_another_shape_fails(document: Any) -> None:
    """An empty wallet is one account with no currencies; nothing else is empty."""
    with pytest.raises(Failure):
        parse_trading(data_of(document))


def test_an_empty_wallet_is_empty() -> None:
    """No currencies are no balances: that is a fact, not a failure."""
    assert parse_trading(data_of(account())).balances == ()
    assert parse_funding(data_of({"code": "0", "data": []})).balances == ()


@pytest.mark.parametrize(
    "data", [None, {}, [{}], [GOOD | {"bal": ""}], [{"ccy": "GOOD", "bal": "1"}], [GOOD] * 2]
)
def test_a_funding_list_of_another_shape_fails(data: Any) -> None:
    """Missing data is not an empty wallet."""
    with pytest.raises(Failure):
        parse_funding(data_of({"code": "0", "data": data}))


def test_the_worth_of_a_list_is_known_only_with_every_price() -> None:
    """One row without a price leaves the sum unknown."""
    priced = {**ROW, "eqUsd": "10.5"}
    other = {**ROW, "ccy": "ETH", "eqUsd": "0.25"}

    def usd(*rows: Any) -> Decimal | None:
        return parse_trading(data_of(account(*rows))).usd

    assert usd(priced, other) == Decimal("10.75")
    assert usd(priced, {**other, "eqUsd": ""}) is None


def test_the_funding_list_is_priced_by_the_trading_list() -> None:
    """Its own rows have no prices; one currency that is in neither leaves the sum unknown."""
    debt = {**ROW, "ccy": "ETH", "eq": "-2", "eqUsd": "-5"}
    prices = parse_prices(data_of(account({**ROW, "eqUsd": "15"}, debt, {**ROW, "ccy": "X", "eqUsd": ""})))

    def usd(*amounts: tuple[str, str]) -> Decimal | None:
        rows = [FUNDING_ROW | {"ccy": ccy, "bal": amount} for ccy, amount in amounts]
        return parse_funding(rows, prices).usd

    assert prices == {"BTC": Decimal(10), "ETH": Decimal("2.5")}
    assert usd(("BTC", "0.5"), ("ETH", "2")) == Decimal("10.00")
    assert usd(("BTC", "0.5"), ("X", "1")) is None
    assert usd() == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"msg":"API key doesn\'t exist","code":"50119"}', "50119"),
        (b'{"msg":"Requests too frequent.","code":50011}', "50011"),
        (b'{"code":"0","msg":"","data":[]}', "0"),
        (b'{"data":[],"msg":"","code":0}', "0"),
    ],
)
def test_a_code_is_text_or_number(body: bytes, code: str) -> None:
    """Refusals come in several forms, some without data."""
    envelope = parse_envelope(body)

    assert envelope is not None
    assert envelope.code == code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>502 Bad Gateway</body></html>",
        b"null",
        b"[]",
        b"{}",
        b'{"code":null}',
        b'{"code":{}}',
        b'{"code":"0","data":[',
        b'{"code":"0","code":"1"}',
        b'{"code":"0","data":[{"details":[{"ccy":"BTC","eq":"1","eq":"2"}]}]}',
        b'{"code":"0","data":[NaN]}',
        b'{"code":"0","data":[-Infinity]}',
        b'\xef\xbb\xbf{"code":"0"}',
        b'{"code":"\xff"}',
        '{"code":"0"}'.encode("utf-16"),
        b'{"code":"0"} trailing',
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer_of_the_api_is_none(body: bytes) -> None:
    """HTML, broken JSON, keys that stand twice and numbers that are none are not guessed at."""
    assert parse_envelope(body) is None


@given(body=st.binary() | st.text().map(str.encode) | JSON.map(lambda value: json.dumps(value).encode()))
def test_garbage_is_no_answer(body: bytes) -> None:
    """Bytes that are not an answer of the API raise nothing but are none."""
    envelope = parse_envelope(body)

    assert envelope is None or envelope.code


@given(data=JSON)
def test_garbage_is_never_a_balance(data: Any) -> None:
    """Whatever stands in the place of the data, it is understood as a whole or not at all."""
    understood = data_of({"code": "0", "data": data})
    for parse in PARSERS.values():
        if parse is parse_funding and data == []:
            continue
        with pytest.raises(Failure):
            parse(understood)


@given(row=st.fixed_dictionaries({}, optional={"ccy": JSON, "bal": JSON, "availBal": JSON}), data=JSON)
def test_a_damaged_row_never_makes_a_smaller_wallet(row: dict[str, Any], data: Any) -> None:
    """A list with garbage beside a good row fails, or is one that has every row."""
    for garbage in (GOOD | row, data):
        document = {"code": "0", "data": [GOOD, garbage]}
        with suppress(UnexpectedResponse):
            assert len(parse_funding(data_of(document)).balances) == 2


@settings(max_examples=200)
@given(amounts=st.lists(AMOUNTS, min_size=1, max_size=4), request=st.just(a_request()))
def test_no_digit_is_lost_on_the_way_to_the_outcome(amounts: list[str], request: SyncRequested) -> None:
    """From the wire through the outcome's bytes and back, an amount stays what it was."""
    rows = [
        TRADING_ROW | {"ccy": f"C{number}", "eq": text, "liab": text} for number, text in enumerate(amounts)
    ]
    data = data_of(account(*rows))
    wallets = (
        judge("trading", parse_trading, Fetched(NOW, data), None),
        judge("funding", parse_funding, Fetched(NOW, []), None),
    )

    said: SyncOutcome = decode(encode(outcome(request, OKX, Reading(wallets), 1)), SyncOutcome)

    assert isinstance(said, SyncCompleted)
    balances = said.wallets[0].balances or ()
    assert [str(each.total) for each in balances] == [str(Decimal(text)) for text in amounts]
    assert [each.borrowed for each in balances] == [Decimal(text) for text in amounts]


@pytest.mark.parametrize(
    ("fields", "permissions", "addresses"),
    [
        ({"perm": "read_only", "ip": ""}, ("read_only",), ()),
        ({"perm": "read_only,withdraw, trade", "ip": ""}, ("read_only", "withdraw", "trade"), ()),
        ({"perm": "", "ip": "192.0.2.1, 2001:db8::/32"}, (), ("192.0.2.1", "2001:db8::/32")),
    ],
)
def test_the_rights_of_a_key(
    fields: dict[str, Any], permissions: tuple[str, ...], addresses: tuple[str, ...]
) -> None:
    """Rights and addresses come as lists in a text, with or without spaces."""
    verified = parse_config(data_of({"code": "0", "data": [{"uid": "2", "mainUid": "1", **fields}]}))

    assert (verified.exchange_uid, verified.master_uid) == ("2", "1")
    assert (verified.permissions, verified.bound_addresses) == (permissions, addresses)


@pytest.mark.parametrize(
    "fields", [{"uid": ""}, {"mainUid": ""}, {"perm": None}, {"uid": None}, {"ip": None}]
)
def test_a_key_of_nobody_is_not_verified(fields: dict[str, Any]) -> None:
    """Without owner, rights or binding there is nothing to accept."""
    row = {"uid": "2", "mainUid": "1", "perm": "read_only", "ip": "", **fields}

    with pytest.raises(Failure):
        parse_config(data_of({"code": "0", "data": [row]}))


@pytest.mark.parametrize("text", ["", "-1", "1.5", "soon", "9" * 15, "\u0661"])
def test_a_time_that_is_none_fails(text: str) -> None:
    """Nothing is signed for a time that was guessed."""
    with pytest.raises(Failure):
        parse_time(data_of({"code": "0", "data": [{"ts": text}]}))

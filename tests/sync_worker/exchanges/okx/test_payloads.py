"""OKX's responses: documented ones, all kinds of amounts, and garbage."""

import json
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.exchanges.okx import OKX
from contracts.faults import Failure
from contracts.syncs import Rights, SyncCompleted, SyncOutcome, SyncRequested
from contracts.values import Balance
from contracts.wire.envelope import decode, encode
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.okx.payloads import (
    parse_config,
    parse_envelope,
    parse_funding,
    parse_rights,
    parse_time,
    parse_trading,
    parse_valuation,
)
from sync_worker.sync import Reading, outcome
from sync_worker.verdicts import Fetched, Worth, judge
from tests.sync_worker.scripted import FUNDING_ROW, TRADING_ROW
from tests.sync_worker.wording import NOW, a_request

PARSERS = {
    "account_balance": parse_trading,
    "asset_balances": parse_funding,
    "asset_asset-valuation": parse_valuation,
    "account_config": parse_config,
    "public_time": parse_time,
}
AMOUNTS = st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,18})?", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ROW: dict[str, Any] = TRADING_ROW | {"ccy": "BTC", "eq": "1.5", "availBal": "1", "frozenBal": "0.5"}
GOOD: dict[str, Any] = FUNDING_ROW | {"ccy": "GOOD", "bal": "1"}


def data_of(document: Any) -> Any:
    """Decode a document as it would come from the wire."""
    envelope = parse_envelope(json.dumps(document).encode())
    assert envelope is not None
    return envelope.data


def account(*details: Any, total: str = "") -> Any:
    """Return a response with a trading account."""
    return {"code": "0", "data": [{"totalEq": total, "details": details}]}


@pytest.mark.parametrize("name", PARSERS)
def test_the_documented_example_is_read(facts: Path, name: str) -> None:
    """The connector reads the example of the exchange's documentation."""
    envelope = parse_envelope((facts / "doc-examples" / "okx" / f"{name}.0.json").read_bytes())

    assert envelope is not None
    assert PARSERS[name](envelope.data)


def test_the_documented_trading_account(facts: Path) -> None:
    """Total is the equity, available is the available equity, to the last digit."""
    envelope = parse_envelope((facts / "doc-examples" / "okx" / "account_balance.0.json").read_bytes())
    assert envelope is not None

    (usdt,) = parse_trading(envelope.data).balances

    assert usdt == Balance(
        "USDT",
        Decimal("4992.890093622894"),
        Decimal("4834.3170936228935"),
        Decimal("158.573"),
        Decimal(0),
        in_bots=Decimal(150),
        interest=Decimal(0),
    )


@pytest.mark.parametrize(
    "document",
    [
        {"code": "0"},
        {"code": "0", "data": None},
        {"code": "0", "data": []},
        {"code": "0", "data": {}},
        {"code": "0", "data": [{}]},
        {"code": "0", "data": [{"totalEq": "", "details": {}}]},
        {"code": "0", "data": [{"totalEq": "", "details": None}]},
        {"code": "0", "data": [{"totalEq": ""}]},
        {"code": "0", "data": [[]]},
        {"code": "0", "data": [{"totalEq": "", "details": []}] * 2},
        account(ROW, ROW),
    ],
)
def test_a_trading_account_of_another_shape_fails(document: Any) -> None:
    """Only one account with no currencies is an empty wallet."""
    with pytest.raises(Failure):
        parse_trading(data_of(document))


def test_an_empty_wallet_is_empty() -> None:
    """A list without currencies is an empty wallet, not a failure."""
    assert parse_trading(data_of(account())).balances == ()
    assert parse_funding(data_of({"code": "0", "data": []})).balances == ()


@pytest.mark.parametrize("data", [None, {}, "[]", [{}], [GOOD | {"bal": ""}], [GOOD] * 2, [None, []]])
def test_a_funding_list_of_another_shape_fails(data: Any) -> None:
    """Missing data is not an empty wallet, and neither are rows that are all unreadable."""
    with pytest.raises(Failure):
        parse_funding(data_of({"code": "0", "data": data}))


def test_the_worth_of_a_list_is_known_only_with_every_price() -> None:
    """One row without a price leaves the sum unknown."""
    priced = {**ROW, "eqUsd": "10.5"}
    other = {**ROW, "ccy": "ETH", "eqUsd": "0.25"}

    def worth(*rows: Any) -> Worth:
        return parse_trading(data_of(account(*rows))).worth

    assert worth(priced, other) == Worth(Decimal("10.75"), Decimal("10.75"))
    assert worth(priced, {**other, "eqUsd": "-0.25"}) == Worth(Decimal("10.25"), Decimal("10.75"))
    assert worth(priced, {**other, "eqUsd": ""}) == Worth(Decimal("10.5"), Decimal("10.5"), whole=False)
    owed = worth(priced, {**other, "eq": "-1", "availBal": "", "eqUsd": ""})
    assert owed == Worth(Decimal("10.5"), Decimal("10.5"), whole=False, least=False)
    assert worth(priced, {**other, "eq": "x", "eqUsd": ""}) == owed
    assert worth(priced, {**other, "eq": "0", "availBal": "", "eqUsd": ""}).whole


def test_the_funding_list_is_priced_by_the_trading_list() -> None:
    """Its own rows have no prices; one currency without a price leaves the sum unknown."""
    debt = {**ROW, "ccy": "ETH", "eq": "-2", "eqUsd": "-5"}
    nonsense = {**ROW, "ccy": "Y", "eqUsd": "-5"}
    prices = parse_trading(
        data_of(account({**ROW, "eqUsd": "15"}, debt, nonsense, {**ROW, "ccy": "X"}))
    ).prices

    def worth(*amounts: tuple[str, str]) -> Worth:
        rows = [FUNDING_ROW | {"ccy": ccy, "bal": amount} for ccy, amount in amounts]
        return parse_funding(rows, prices).worth

    assert prices == {"BTC": Decimal(10), "ETH": Decimal("2.5")}
    assert worth(("BTC", "0.5"), ("ETH", "2")) == Worth(Decimal(10), Decimal(10))
    assert worth(("BTC", "0.5"), ("X", "1")) == Worth(Decimal(5), Decimal(5), whole=False)
    assert worth(("BTC", "0.5"), ("X", "0")).whole
    assert worth() == Worth()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"msg":"API key doesn\'t exist","code":"50119"}', "50119"),
        (b'{"msg":"Requests too frequent.","code":50011}', "50011"),
        (b'{"code":"0","msg":"","data":[]}', "0"),
        (b'{"data":[],"msg":"","code":0}', "0"),
        (b'{"code":"-1","msg":null}', "-1"),
        (b'{"code":-1,"msg":{}}', "-1"),
        (b'{"code":"E_NEW-1","data":{}}', "E_NEW-1"),
        (b'{"code":1.5}', "1.5"),
        (b'{"code":""}', ""),
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
        b'{"code":true}',
        b'{"code":[]}',
        b'{"msg":"","data":[]}',
        b'{"code":"0","msg":"","msg":""}',
        b'{"code":"0","data":[],"data":[]}',
        b'{"code":"0","inTime":NaN}',
        b'{"code":"0","extra":[{"a":-Infinity}]}',
        b'{"code":"0","extra":{"a":1,"a":1}}',
        b'\xef\xbb\xbf{"code":"0"}',
        b'{"code":"\xff"}',
        '{"code":"0"}'.encode("utf-16"),
        b'{"code":"0"} trailing',
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer_of_the_api_is_none(body: bytes) -> None:
    """HTML, broken JSON, duplicate keys and invalid numbers are not guessed at."""
    assert parse_envelope(body) is None


@given(body=st.binary() | st.text().map(str.encode) | JSON.map(lambda value: json.dumps(value).encode()))
def test_garbage_is_no_answer(body: bytes) -> None:
    """Bytes that are not a response of the API raise nothing and give None."""
    envelope = parse_envelope(body)

    assert envelope is None or type(envelope.code) is str


@given(data=JSON)
def test_garbage_is_never_a_balance(data: Any) -> None:
    """Any garbage in place of the data makes the response unreadable."""
    understood = data_of({"code": "0", "data": data})
    for parse in PARSERS.values():
        if parse is parse_funding and data == []:
            continue
        with pytest.raises(UnexpectedResponse):
            parse(understood)


@given(data=JSON)
def test_garbage_in_the_place_of_the_details_is_told(data: Any) -> None:
    """It is an empty list, a partly read list, or an unreadable response; no other error is raised."""
    with suppress(UnexpectedResponse):
        listed = parse_trading(data_of({"code": "0", "data": [{"totalEq": data, "details": data}]}))
        assert listed.balances or not listed.unreadable


@settings(max_examples=200)
@given(amounts=st.lists(AMOUNTS, min_size=1, max_size=4), request=st.just(a_request()))
def test_no_digit_is_lost_on_the_way_to_the_outcome(amounts: list[str], request: SyncRequested) -> None:
    """From the wire through the outcome's bytes and back, an amount does not change."""
    rows = [
        TRADING_ROW | {"ccy": f"C{number}", "eq": text, "liab": f"-{text}".replace("--", "")}
        for number, text in enumerate(amounts)
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
    assert [each.borrowed for each in balances] == [Decimal(text).copy_abs() for text in amounts]


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
    """Rights and addresses come as comma-separated text, with or without spaces."""
    verified = parse_config(data_of({"code": "0", "data": [{"uid": "2", "mainUid": "1", **fields}]}))

    assert (verified.exchange_uid, verified.master_uid) == ("2", "1")
    assert (verified.permissions, verified.bound_addresses) == (permissions, addresses)


@pytest.mark.parametrize("fields", [{"uid": ""}, {"perm": None}, {"uid": None}, {"uid": "a b"}])
def test_a_key_of_nobody_is_not_verified(fields: dict[str, Any]) -> None:
    """Without owner or rights a key cannot be verified."""
    row = {"uid": "2", "mainUid": "1", "perm": "read_only", "ip": "", **fields}

    with pytest.raises(Failure):
        parse_config(data_of({"code": "0", "data": [row]}))


@pytest.mark.parametrize(
    "fields",
    [
        *({"mainUid": ""}, {"mainUid": None}, {"mainUid": "\ud800"}),
        *({"ip": None}, {"ip": "here"}, {"ip": ",".join(["192.0.2.1"] * 257)}),
    ],
)
def test_the_rights_of_a_key_are_read_without_what_stands_beside_them(fields: dict[str, Any]) -> None:
    """This lets a pause end; a key to connect is verified as a whole, and no part of it is guessed."""
    row = {"uid": "2", "mainUid": "1", "perm": "read_only", "ip": "", **fields}

    assert parse_rights([row]) == Rights("2", ("read_only",))
    with pytest.raises(Failure, match="unexpected_response"):
        parse_config([row])


@pytest.mark.parametrize("text", ["", "-1", "1.5", "soon", "9" * 15, "\u0661"])
def test_a_time_that_is_none_fails(text: str) -> None:
    """No request is signed with a guessed time."""
    with pytest.raises(Failure):
        parse_time(data_of({"code": "0", "data": [{"ts": text}]}))


@pytest.mark.parametrize("total", ["", None, "x", "NaN", [], {"a": 1}, True, "1" * 81])
def test_a_total_that_can_not_be_read_is_none(total: Any) -> None:
    """The rows are read, and compared with no total of their own."""
    listed = parse_trading(data_of({"code": "0", "data": [{"totalEq": total, "details": [ROW]}]}))

    assert listed.stated is None
    assert [each.asset for each in listed.balances] == ["BTC"]


@pytest.mark.parametrize(
    ("account_text", "stated"),
    [
        ('"totalEq":"1","totalEq":"2","details":[%s]', None),
        ('"totalEq":"1","upl":NaN,"details":[%s]', 1),
        ('"totalEq":"1","more":[{"a":Infinity}],"details":[%s]', 1),
    ],
)
def test_damage_in_a_field_around_the_rows_costs_that_field(account_text: str, stated: int | None) -> None:
    """The rows are read; a duplicate total is unknown."""
    row = '{"ccy":"BTC","eq":"1"}'
    envelope = parse_envelope(f'{{"code":"0","data":[{{{account_text % row}}}]}}'.encode())

    assert envelope is not None
    listed = parse_trading(envelope.data)
    assert ([each.asset for each in listed.balances], listed.stated) == (["BTC"], stated)


def test_a_list_that_stands_twice_is_no_account() -> None:
    """The connector trusts neither of two lists."""
    row = '{"ccy":"BTC","eq":"1"}'
    envelope = parse_envelope(f'{{"code":"0","data":[{{"details":[],"details":[{row}]}}]}}'.encode())

    assert envelope is not None
    with pytest.raises(UnexpectedResponse):
        parse_trading(envelope.data)


def test_damage_in_one_total_costs_that_one() -> None:
    """The valuation of the other wallet stays known."""
    body = b'{"code":"0","data":[{"totalBal":NaN,"details":{"trading":"5","earn":"1","earn":"2"}}]}'
    envelope = parse_envelope(body)

    assert envelope is not None
    assert parse_valuation(envelope.data) == {"trading": 5}


@pytest.mark.parametrize("text", ["1" * 5000, "0", "-1", "soon", ""])
def test_a_time_that_can_not_be_is_none(text: str) -> None:
    """However many digits it has."""
    with pytest.raises(UnexpectedResponse):
        parse_time([{"ts": text}])


def test_a_name_that_no_message_carries_is_not_taken_over() -> None:
    """An account id with half a character is not valid."""
    with pytest.raises(UnexpectedResponse):
        parse_config([{"uid": "\ud800", "mainUid": "1", "perm": "read_only", "ip": ""}])


@pytest.mark.parametrize("damage", ['"more":NaN', '"more":1,"more":1', '"more":[{"a":1,"a":1}]'])
def test_damage_costs_the_time_and_not_the_rights(damage: str) -> None:
    """A time is read as a whole or not at all; the rights of a key are read as at a sync."""
    rights = '"uid":"2","mainUid":"1","perm":"read_only","ip":""'
    whole = parse_envelope(f'{{"code":"0","data":[{{{rights}}}]}}'.encode())
    config = parse_envelope(f'{{"code":"0","data":[{{{rights},{damage}}}]}}'.encode())
    time = parse_envelope(f'{{"code":"0","data":[{{"ts":"1597026383085",{damage}}}]}}'.encode())

    assert whole is not None
    assert config is not None
    assert time is not None
    assert parse_config(config.data) == parse_config(whole.data)
    with pytest.raises(UnexpectedResponse):
        parse_time(time.data)


def test_a_total_of_the_valuation_that_can_not_be_read_costs_no_other() -> None:
    """The other wallet is still compared with its own total."""
    details = {"trading": "x", "funding": "5", "earn": None, "classic": ""}

    assert parse_valuation(data_of({"code": "0", "data": [{"details": details}]})) == {"funding": Decimal(5)}

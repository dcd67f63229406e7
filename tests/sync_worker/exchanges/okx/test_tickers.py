"""OKX's lists of prices become quotes and indexes; a row that is damaged has no price, and harms no other."""

import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from contracts.prices import MAX_READING_BYTES, MAX_ROWS, IndexPrice, PricesRead, Quote
from contracts.wire.envelope import decode, encode
from deploy.simulator.okx.market import Inquiry, tickers
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.okx.tickers import MAX_LIST_BYTES, parse_head, parse_indexes, parse_tickers
from tests.sync_worker.wording import NOW

AT = datetime(2026, 11, 28, 12, 0, 0, 123000, UTC)
ROW = {
    "instType": "SPOT",
    "instId": "BTC-USDT",
    "last": "64000.1",
    "lastSz": "0.1",
    "bidPx": "64000",
    "askPx": "64000.1",
    "volCcy24h": "812345678.9",
    "vol24h": "12692.9",
    "ts": str(int(AT.timestamp() * 1000)),
}
QUOTE = Quote("BTC", "USDT", "64000.1", "64000", "64000.1", "812345678.9", AT)
ID = UUID(int=1)
PRICES = {name: Decimal(3) for name in ("BTC", "ETH", "SOL", "USD", "USDT", "USDC")}
ROWS, CPU_SECONDS = 2000, 0.3
# The worker may spend 50 ms of CPU on a list of 2,000 rows; parsing and encoding are most of it.


def body(*rows: Any) -> bytes:
    """Return a response with rows."""
    return json.dumps({"code": "0", "msg": "", "data": rows}).encode()


def test_a_row_is_a_quote() -> None:
    """Every number keeps its digits, the time is the exchange's, and the volume is in units of the quote."""
    assert parse_tickers(body(ROW)) == (QUOTE,)


def test_an_index_is_read() -> None:
    """The pair, the price and the time."""
    row = {"instId": "USDT-USD", "idxPx": "0.9995", "ts": ROW["ts"], "high24h": "1"}

    assert parse_indexes(body(row)) == (IndexPrice("USDT", "USD", "0.9995", AT),)


@pytest.mark.parametrize("text", ["", "NaN", "Infinity", "1e5", " 1", "1_0", "0x1", "\u0661", "1" * 30])
def test_what_is_no_decimal_number_is_no_price(text: str) -> None:
    """The gateway gets None for it, never another number."""
    (quote,) = parse_tickers(body(ROW | {"last": text}))

    assert quote == Quote("BTC", "USDT", None, "64000", "64000.1", "812345678.9", AT)


@pytest.mark.parametrize("value", [64000.1, None, ["64000"], True])
def test_a_row_of_a_wrong_type_has_no_price_and_harms_no_other(value: Any) -> None:
    """OKX sends texts; the pair stays, so that it does not seem to be gone."""
    other = ROW | {"instId": "ETH-USDT"}

    assert parse_tickers(body(ROW | {"last": value}, other)) == (
        Quote("BTC", "USDT"),
        Quote("ETH", "USDT", *[getattr(QUOTE, field) for field in ("last", "bid", "ask", "volume", "at")]),
    )


def test_a_pair_that_stands_twice_has_no_price() -> None:
    """Either row may be right."""
    assert parse_tickers(body(ROW, ROW | {"last": "1"})) == (Quote("BTC", "USDT"),)


@pytest.mark.parametrize("name", ["BTC", "", "BTC-USDT-SWAP", "B TC-USDT", "-USDT", "BTC-", 1, None])
def test_what_is_no_pair_is_left_out(name: Any) -> None:
    """Only pairs of two assets are prices of one in the other."""
    assert parse_tickers(body(ROW | {"instId": name}, ROW)) == (QUOTE,)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b'{"code":"0","data":{}}',
        b'{"code":"0"}',
        b"[" * 20_000,
        b'{"code":"0","data":' + b"[" * 20_000,
        body(),
        body({"instId": "BTC"}, {"pair": "BTC-USDT"}),
        body(ROW) + b" " * MAX_LIST_BYTES,
    ],
)
def test_what_is_no_list_is_refused(data: bytes) -> None:
    """An unreadable response is never an empty list, and an empty list is no delisting of all."""
    for parse in (parse_tickers, parse_indexes):
        with pytest.raises(UnexpectedResponse):
            parse(data)


def test_too_many_rows_are_refused() -> None:
    """A message can not carry them."""
    rows = [ROW | {"instId": f"C{number}-USDT"} for number in range(MAX_ROWS + 1)]

    with pytest.raises(UnexpectedResponse):
        parse_tickers(body(*rows))


def test_too_many_damaged_rows_are_refused_before_they_are_read() -> None:
    """Hundreds of thousands of them would hold up the syncs of the worker for seconds."""
    data = b'{"code":"0","data":[' + b",".join([b"[]"] * 600_000) + b"]}"
    before = time.process_time()

    with pytest.raises(UnexpectedResponse):
        parse_tickers(data)

    assert time.process_time() - before < CPU_SECONDS


def test_a_refusal_is_seen() -> None:
    """Code and text stand around the data."""
    refused = parse_head(b'{"code":"50011","msg":"Too Many Requests"}')

    assert refused is not None
    assert (refused.code, refused.msg) == ("50011", "Too Many Requests")
    assert parse_head(b"<html>") is None


def test_two_thousand_rows_fit_into_a_message() -> None:
    """The reading is under 1 MiB."""
    row = tickers(Inquiry({"instType": "SPOT"}, NOW, PRICES))[0]
    rows = [row | {"instId": f"COIN{number}-USDT"} for number in range(ROWS)]
    index = [{"instId": f"COIN{number}-USD", "idxPx": "0.123456", "ts": ROW["ts"]} for number in range(ROWS)]
    raw, raw_index = body(*rows), body(*index)

    assert len(_read(raw, raw_index)) < MAX_READING_BYTES
    read: PricesRead = decode(_read(raw, raw_index), PricesRead)
    assert len(read.quotes or ()) == len(read.indexes or ()) == ROWS


def _read(raw: bytes, raw_index: bytes) -> bytes:
    assert parse_head(raw) is not None
    quotes, indexes = parse_tickers(raw), parse_indexes(raw_index)
    return encode(PricesRead("okx", ID, NOW, quotes, indexes))

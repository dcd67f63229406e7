"""Binance's lists of prices become quotes; a pair that is not traded or has no offers has no price."""

import json
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.prices import MAX_READING_BYTES, MAX_ROWS, PricesRead, Quote
from contracts.wire.envelope import encode
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.binance.prices import parse_pairs, parse_quotes

READ_AT = datetime(2026, 11, 29, 12, 0, 0, 123000, UTC)
PAIRS, CPU_SECONDS = 2000, 0.3
# The worker may spend 50 ms of CPU on the lists of 2,000 pairs; the test allows for a busy machine.


def info(*pairs: tuple[str, str, str], **more: Any) -> bytes:
    """Return exchangeInfo with pairs of a base, a quote and a status."""
    symbols = [
        {"symbol": base + quote, "status": status, "baseAsset": base, "quoteAsset": quote, **more}
        for base, quote, status in pairs
    ]
    return json.dumps({"timezone": "UTC", "rateLimits": [], "symbols": symbols}).encode()


def price(symbol: str, text: str = "64000.10000000") -> dict[str, str]:
    """Return a row of ticker/price."""
    return {"symbol": symbol, "price": text}


def offers(symbol: str, **more: str) -> dict[str, str]:
    """Return a row of ticker/bookTicker."""
    return {
        "symbol": symbol,
        "bidPrice": "64000.00000000",
        "bidQty": "1.5",
        "askPrice": "64000.10000000",
        "askQty": "0.2",
        **more,
    }


def rows(*rows: Any) -> bytes:
    """Return a list."""
    return json.dumps(rows).encode()


BTC = info(("BTC", "USDT", "TRADING"))
ETH_TOO = info(("BTC", "USDT", "TRADING"), ("ETH", "USDT", "TRADING"))


def test_a_traded_pair_is_a_quote() -> None:
    """Every number keeps its digits, the quote has the time of the read, and no volume is invented."""
    quotes = parse_quotes(BTC, rows(price("BTCUSDT")), rows(offers("BTCUSDT")), READ_AT)

    assert quotes == (
        Quote("BTC", "USDT", "64000.10000000", "64000.00000000", "64000.10000000", None, READ_AT),
    )


def test_only_the_list_of_symbols_says_which_assets_a_symbol_has() -> None:
    """A symbol that it does not name is never split by a guess."""
    quotes = parse_quotes(
        info(("1000SATS", "USDT", "TRADING")),
        rows(price("1000SATSUSDT", "0.0002"), price("BTCUSDT")),
        rows(offers("1000SATSUSDT"), offers("BTCUSDT")),
        READ_AT,
    )

    assert [(each.base, each.quote) for each in quotes] == [("1000SATS", "USDT")]


@pytest.mark.parametrize("status", ["BREAK", "HALT", "PRE_TRADING", "", "trading"])
def test_a_pair_that_is_not_traded_is_left_out(status: str) -> None:
    """Its last trade and its offers may look alive."""
    listed = info(("ETH", "USDT", status), ("BTC", "USDT", "TRADING"))
    both = ("ETHUSDT", "BTCUSDT")

    quotes = parse_quotes(listed, rows(*map(price, both)), rows(*map(offers, both)), READ_AT)

    assert [each.base for each in quotes] == ["BTC"]


@pytest.mark.parametrize("field", ["bidPrice", "bidQty", "askPrice", "askQty"])
@pytest.mark.parametrize("text", ["0", "0.00000000", "", "-1", "NaN"])
def test_a_pair_with_an_empty_order_book_has_no_price(field: str, text: str) -> None:
    """It stays in the list, because it is traded."""
    quotes = parse_quotes(
        ETH_TOO,
        rows(price("BTCUSDT"), price("ETHUSDT")),
        rows(offers("BTCUSDT"), offers("ETHUSDT", **{field: text})),
        READ_AT,
    )

    assert quotes[1] == Quote("ETH", "USDT", at=READ_AT)


@pytest.mark.parametrize(
    ("prices", "books"),
    [
        (rows(price("BTCUSDT")), rows(offers("BTCUSDT"), offers("ETHUSDT"))),
        (rows(price("BTCUSDT"), price("ETHUSDT")), rows(offers("BTCUSDT"))),
        (rows(price("BTCUSDT"), price("ETHUSDT"), price("ETHUSDT", "1")), rows(offers("BTCUSDT"))),
        (rows(price("BTCUSDT"), {"symbol": "ETHUSDT", "price": 1}), rows(offers("BTCUSDT"))),
        (rows(price("BTCUSDT"), price("ETHUSDT")), rows(offers("BTCUSDT"), *[offers("ETHUSDT")] * 2)),
    ],
)
def test_a_row_that_is_missing_damaged_or_repeated_is_no_price(prices: bytes, books: bytes) -> None:
    """The other pairs keep theirs."""
    quotes = parse_quotes(ETH_TOO, prices, books, READ_AT)

    assert [each.last for each in quotes] == ["64000.10000000", None]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"symbols": 1}', b'{"symbols": []}'])
def test_without_the_list_of_symbols_there_are_no_prices(body: bytes) -> None:
    """A halted pair must not look alive."""
    with pytest.raises(UnexpectedResponse):
        parse_quotes(body, rows(price("BTCUSDT")), rows(offers("BTCUSDT")), READ_AT)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'["x"]'])
def test_a_list_without_a_price_is_refused(body: bytes) -> None:
    """All assets would seem to have none."""
    with pytest.raises(UnexpectedResponse):
        parse_quotes(BTC, body, rows(offers("BTCUSDT")), READ_AT)
    with pytest.raises(UnexpectedResponse):
        parse_quotes(BTC, rows(price("BTCUSDT")), body, READ_AT)


def test_a_damaged_symbol_harms_no_other() -> None:
    """It is not a valid pair."""
    symbols = json.loads(ETH_TOO)["symbols"]
    body = json.dumps({"symbols": [symbols[0], symbols[1] | {"baseAsset": 7}, "x"]}).encode()

    assert [each.base_asset for each in parse_pairs(body)] == ["BTC"]


@given(st.permutations(["EUR", "USDT", "BTC", "FDUSD", "USDC", "ETH"]))
def test_the_order_of_quotes_does_not_depend_on_binance(quotes: list[str]) -> None:
    """Pairs by which the gateway comes to USD stand first, so that a bound never leaves them out."""
    listed = info(*((base, quote, "TRADING") for quote in quotes for base in ("SOL", "ADA")))
    symbols = [base + quote for quote in quotes for base in ("ADA", "SOL")]

    read = parse_quotes(listed, rows(*map(price, symbols)), rows(*map(offers, symbols)), READ_AT)

    order = ["USDT", "USDC", "BTC", "ETH", "FDUSD", "EUR"]
    assert [each.base + each.quote for each in read] == [base + q for q in order for base in ("ADA", "SOL")]


def test_a_message_has_room_for_the_longest_list() -> None:
    """More pairs than the bound are left out, pairs against other assets first."""
    bases = [f"COIN{number:05}" for number in range(MAX_ROWS + 1)]
    listed = info(("BTC", "EUR", "TRADING"), *((base, "USDT", "TRADING") for base in bases))
    symbols = ["BTCEUR", *(base + "USDT" for base in bases)]

    read = parse_quotes(listed, rows(*map(price, symbols)), rows(*map(offers, symbols)), READ_AT)

    assert [each.base for each in read] == bases[:MAX_ROWS]
    message = PricesRead("binance", UUID(int=1), READ_AT, read, has_volumes=False)
    assert len(encode(message)) < MAX_READING_BYTES


def test_parsing_takes_little_of_the_processor() -> None:
    """All work of a process waits for it."""
    more = {"filters": [{"filterType": f"F{n}", "value": "0.00000100"} for n in range(12)], "a": ["x"] * 40}
    bases = [f"COIN{number:05}" for number in range(PAIRS)]
    listed = info(*((base, "USDT", "TRADING") for base in bases), **more)
    symbols = [base + "USDT" for base in bases]
    prices, books = rows(*map(price, symbols)), rows(*map(offers, symbols))
    started = time.process_time()

    encode(PricesRead("binance", UUID(int=1), READ_AT, parse_quotes(listed, prices, books, READ_AT)))

    assert time.process_time() - started < CPU_SECONDS

"""Parse OKX's public lists of prices, straight into structs. Pure; raises UnexpectedResponse.

A list is read once a minute for all accounts, and has thousands of values. Source:
https://www.okx.com/docs-v5/en/#order-book-trading-market-data-get-tickers and `get-index-tickers`.
"""

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from contracts.exchanges.okx import OKX
from contracts.prices import MAX_ROWS, IndexPrice, Quote
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.values import EPOCH, MAX_TIME_MS, MIN_TIME_MS, SHAPE

NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,18})?", re.ASCII)
MILLISECONDS = re.compile(r"[0-9]{13,14}", re.ASCII)
# Two thousand rows of the longest list have about 900 KB. More would hold up the syncs of this process.
MAX_LIST_BYTES = 2 * 1024 * 1024
INVALID = (msgspec.DecodeError, ValueError, RecursionError)

Price = TypeVar("Price", Quote, IndexPrice)


class Head(msgspec.Struct, frozen=True):
    """The fields around the data of a response."""

    code: str
    msg: str = ""


class _Ticker(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    inst_id: str
    last: str = ""
    bid_px: str = ""
    ask_px: str = ""
    volume: str = msgspec.field(name="volCcy24h", default="")
    ts: str = ""


class _Index(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    inst_id: str
    idx_px: str = ""
    ts: str = ""


class _Named(msgspec.Struct, frozen=True, rename="camel"):
    inst_id: str


class _Raw(msgspec.Struct, frozen=True):
    data: list[msgspec.Raw]


class _Tickers(msgspec.Struct, frozen=True):
    data: list[_Ticker]


class _Indexes(msgspec.Struct, frozen=True):
    data: list[_Index]


def parse_head(body: bytes) -> Head | None:
    """Parse the fields around the data; return None for HTML and other invalid text."""
    with suppress(*INVALID):
        return msgspec.json.decode(body, type=Head)
    return None


def parse_tickers(body: bytes) -> tuple[Quote, ...]:
    """Parse a response of /api/v5/market/tickers; for spot pairs `volCcy24h` is in units of the quote."""
    return _unique(_rows(body, _Tickers, _Ticker), _quote, Quote)


def parse_indexes(body: bytes) -> tuple[IndexPrice, ...]:
    """Parse a response of /api/v5/market/index-tickers."""
    return _unique(_rows(body, _Indexes, _Index), _index, IndexPrice)


def _rows(body: bytes, whole: type[Any], row: type[Any]) -> list[Any]:
    """Return the rows of a list; one with a wrong type keeps only its name."""
    if len(body) > MAX_LIST_BYTES:
        raise UnexpectedResponse(f"The answer is longer than {MAX_LIST_BYTES} bytes.")
    try:
        rows: list[Any] = msgspec.json.decode(body, type=whole).data
    except INVALID:
        return _damaged_rows(body, row)
    return _bounded(rows)


def _bounded(rows: list[Any]) -> list[Any]:
    if len(rows) > MAX_ROWS:
        raise UnexpectedResponse(f"The list has more than {MAX_ROWS} rows.")
    return rows


def _damaged_rows(body: bytes, row: type[Any]) -> list[Any]:
    try:
        raw = _bounded(msgspec.json.decode(body, type=_Raw).data)
    except INVALID:
        raise UnexpectedResponse(SHAPE) from None
    rows = []
    for each in raw:
        try:
            rows.append(msgspec.json.decode(each, type=row))
        except INVALID:
            with suppress(*INVALID):
                rows.append(row(msgspec.json.decode(each, type=_Named).inst_id))
    return rows


def _unique(
    rows: Iterable[Any], read: Callable[[str, str, Any], Price], kind: type[Price]
) -> tuple[Price, ...]:
    """Return one price for each pair; a repeated pair has no price, because either row may be right.

    A list without a pair is refused, because all assets would seem to be gone.
    """
    prices: dict[str, Price] = {}
    for row in rows:
        base, _, quote = row.inst_id.partition("-")
        if OKX.names_asset(base) and OKX.names_asset(quote) and "-" not in quote:
            repeated = row.inst_id in prices
            prices[row.inst_id] = kind(base, quote) if repeated else read(base, quote, row)
    if not prices:
        raise UnexpectedResponse("The list is empty.")
    return tuple(prices.values())


def _quote(base: str, quote: str, row: _Ticker) -> Quote:
    return Quote(
        base,
        quote,
        _number(row.last),
        _number(row.bid_px),
        _number(row.ask_px),
        _number(row.volume),
        _time(row.ts),
    )


def _index(base: str, quote: str, row: _Index) -> IndexPrice:
    return IndexPrice(base, quote, _number(row.idx_px), _time(row.ts))


def _number(text: str) -> str | None:
    return text if NUMBER.fullmatch(text) else None


def _time(text: str) -> datetime | None:
    if not MILLISECONDS.fullmatch(text) or not MIN_TIME_MS <= int(text) < MAX_TIME_MS:
        return None
    return EPOCH + timedelta(milliseconds=int(text))

"""Binance's public prices: of each pair the last trade and the best offers, if it is traded now.

Binance lists prices and offers by symbol. Only `exchangeInfo` says which assets a symbol has and whether it
is traded, so there are no prices without it. Source:
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from contracts.exchanges.binance import BINANCE
from contracts.prices import MAX_ROWS, Quote
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.values import SHAPE

NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,18})?", re.ASCII)
TRADING = "TRADING"
# The gateway comes to USD by the first ones; pairs against others are left out first.
QUOTES_FIRST = ("USD", "USDT", "USDC", "BTC", "ETH", "FDUSD")
# Four thousand rows of a list have about 700 KB; more would hold up the syncs of this process.
MAX_LIST_BYTES = 2 * 1024 * 1024
# The worker reads no longer answer.
MAX_INFO_BYTES = 8 * 1024 * 1024
INVALID = (msgspec.DecodeError, ValueError, RecursionError)

Row = TypeVar("Row", bound="Named")


class Named(msgspec.Struct, frozen=True, gc=False):
    """A row about one symbol."""

    symbol: str


class Pair(Named, frozen=True, gc=False, rename="camel"):
    """The assets of a symbol, and whether it is traded."""

    base_asset: str
    quote_asset: str
    status: str = ""


class _Price(Named, frozen=True, gc=False):
    price: str = ""


class _Offers(Named, frozen=True, gc=False, rename="camel"):
    bid_price: str = ""
    bid_qty: str = ""
    ask_price: str = ""
    ask_qty: str = ""


class _Info(msgspec.Struct, frozen=True):
    symbols: list[Pair]


class _RawInfo(msgspec.Struct, frozen=True):
    symbols: list[msgspec.Raw]


def parse_quotes(info: bytes, prices: bytes, offers: bytes, read_at: datetime) -> tuple[Quote, ...]:
    """Parse the three lists into at most MAX_ROWS quotes, pairs against the assets in QUOTES_FIRST first.

    A pair with an empty order book, or without a row in a list, has no price; one that is not traded is left
    out. Binance reports no times here, so `read_at` counts. Raises UnexpectedResponse.
    """
    pairs = _traded(parse_pairs(info))
    last = _unique(_rows(prices, _Price))
    books = _unique(_rows(offers, _Offers))
    quotes = [_quote(pair, last.get(pair.symbol), books.get(pair.symbol), read_at) for pair in pairs]
    if not any(quote.last for quote in quotes):
        raise UnexpectedResponse("The list is empty.")
    return tuple(quotes[:MAX_ROWS])


def parse_pairs(info: bytes) -> list[Pair]:
    """Parse the symbols of /api/v3/exchangeInfo; a damaged one is left out. Raises UnexpectedResponse."""
    if len(info) > MAX_INFO_BYTES:
        raise UnexpectedResponse(f"The answer is longer than {MAX_INFO_BYTES} bytes.")
    with suppress(*INVALID):
        return msgspec.json.decode(info, type=_Info).symbols
    try:
        return _each(msgspec.json.decode(info, type=_RawInfo).symbols, Pair)
    except INVALID:
        raise UnexpectedResponse(SHAPE) from None


def _traded(pairs: list[Pair]) -> list[Pair]:
    """Return the pairs that are traded, in an order that each reading has; a repeated symbol is left out."""
    ranks = {quote: rank for rank, quote in enumerate(QUOTES_FIRST)}
    once = _unique(pairs).values()
    traded = [each for each in once if each is not None and each.status == TRADING and _is_named(each)]
    return sorted(traded, key=lambda pair: (ranks.get(pair.quote_asset, len(ranks)), pair.symbol))


def _is_named(pair: Pair) -> bool:
    return BINANCE.names_asset(pair.base_asset) and BINANCE.names_asset(pair.quote_asset)


def _rows(body: bytes, row: type[Row]) -> list[Row]:
    """Return the rows of a list; a damaged one is left out. Raises UnexpectedResponse."""
    if len(body) > MAX_LIST_BYTES:
        raise UnexpectedResponse(f"The answer is longer than {MAX_LIST_BYTES} bytes.")
    with suppress(*INVALID):
        return msgspec.json.decode(body, type=list[row])  # type: ignore[valid-type] # mypy wants a constant
    try:
        return _each(msgspec.json.decode(body, type=list[msgspec.Raw]), row)
    except INVALID:
        raise UnexpectedResponse(SHAPE) from None


def _each(rows: Iterable[msgspec.Raw], row: type[Row]) -> list[Row]:
    found: list[Row] = []
    for each in rows:
        with suppress(*INVALID):
            found.append(msgspec.json.decode(each, type=row))
    return found


def _unique(rows: Iterable[Row]) -> dict[str, Any]:
    """Return the row of each symbol; None for a repeated one, because either may be right."""
    found: dict[str, Row | None] = {}
    for row in rows:
        found[row.symbol] = None if row.symbol in found else row
    return found


def _quote(pair: Pair, last: _Price | None, book: _Offers | None, read_at: datetime) -> Quote:
    if last is None or book is None or not _is_open(book):
        return Quote(pair.base_asset, pair.quote_asset, at=read_at)
    price, bid, ask = _number(last.price), _number(book.bid_price), _number(book.ask_price)
    return Quote(pair.base_asset, pair.quote_asset, price, bid, ask, at=read_at)


def _is_open(book: _Offers) -> bool:
    """Return whether somebody buys and somebody sells: prices and quantities are above zero."""
    numbers = (book.bid_price, book.bid_qty, book.ask_price, book.ask_qty)
    return all(_number(text) is not None and text.strip("0.") for text in numbers)


def _number(text: str) -> str | None:
    return text if NUMBER.fullmatch(text) else None

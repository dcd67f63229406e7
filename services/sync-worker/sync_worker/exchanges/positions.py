"""Open positions of a list, parsed one by one: an unreadable one affects no other, nor any balance. Pure."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from contracts.exchanges.types import Exchange
from contracts.faults import Code, Failure
from contracts.positions import MAX_POSITIONS, Position
from contracts.syncs import WalletRead
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.lenient_json import is_whole
from sync_worker.exchanges.rows import Fields
from sync_worker.exchanges.values import SHAPE
from sync_worker.verdicts import Fetched

# Parses a row, None for a closed position; raises ValueError.
ParsePosition = Callable[[Fields], Position | None]


def with_positions(read: WalletRead, fetched: Fetched | Failure, parse: ParsePosition) -> WalletRead:
    """Return a wallet's read with its open positions, or with the reason why they are unknown."""
    try:
        if isinstance(fetched, Failure):
            raise fetched
        listed, code = _positions(fetched.data, parse)
    except Failure as fault:
        return msgspec.structs.replace(read, positions_code=fault.code)
    return _with(read, listed, fetched.as_of, code)


def text_of(row: Fields, name: str) -> str:
    """Return a text that a position must have; raises ValueError."""
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError("a name is missing")
    return str(value)


def asset_in(row: Fields, name: str, exchange: Exchange) -> str | None:
    """Return the asset that a field names, None if it is empty; raises ValueError."""
    value = row.get(name)
    if value in (None, ""):
        return None
    if not isinstance(value, str) or not exchange.names_asset(value):
        raise ValueError("a currency can not be read")
    return str(value)


def _with(read: WalletRead, listed: Sequence[Position], as_of: datetime, code: Code | None) -> WalletRead:
    return msgspec.structs.replace(read, positions=tuple(listed), positions_as_of=as_of, positions_code=code)


def _positions(data: Any, parse: ParsePosition) -> tuple[list[Position], Code | None]:
    """Return the positions, and a code if some of them are unreadable or too many; raises Failure."""
    if not isinstance(data, list):
        raise UnexpectedResponse(SHAPE)
    listed, unreadable = [], 0
    for row in data[:MAX_POSITIONS]:
        try:
            position = parse(_whole(row))
        except (ValueError, ArithmeticError):
            unreadable += 1
            continue
        listed += [position] if position is not None else []
    if unreadable and not listed:
        raise UnexpectedResponse(SHAPE)
    if len(data) > MAX_POSITIONS:
        return listed, Code.TOO_MANY_ASSETS
    return listed, Code.UNREADABLE_ROWS if unreadable else None


def _whole(row: Any) -> Fields:
    if not isinstance(row, dict) or not is_whole(row):
        raise ValueError("it is no object")
    return row

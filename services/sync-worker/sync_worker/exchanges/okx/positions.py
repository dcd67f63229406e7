"""Parse OKX's open positions, one by one: an unreadable one does not affect others, nor any balance. Pure.

Source: https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-positions.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from contracts.exchanges.okx import OKX
from contracts.faults import Code, Failure
from contracts.positions import MAX_POSITIONS, Position
from contracts.syncs import WalletRead
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.lenient_json import is_whole
from sync_worker.exchanges.rows import Fields
from sync_worker.exchanges.values import SHAPE, amount_of
from sync_worker.verdicts import Fetched

# OKX counts a margin position in its currency, and any other one in contracts.
MARGIN = "margin"


def with_positions(read: WalletRead, fetched: Fetched | Failure) -> WalletRead:
    """Return a wallet's read with its open positions, or with the reason why they are unknown."""
    try:
        if isinstance(fetched, Failure):
            raise fetched
        listed, code = _positions(fetched.data)
    except Failure as fault:
        return msgspec.structs.replace(read, positions_code=fault.code)
    return _with(read, listed, fetched.as_of, code)


def _with(read: WalletRead, listed: Sequence[Position], as_of: datetime, code: Code | None) -> WalletRead:
    return msgspec.structs.replace(read, positions=tuple(listed), positions_as_of=as_of, positions_code=code)


def _positions(data: Any) -> tuple[list[Position], Code | None]:
    """Return the positions, and a code if some of them are unreadable or too many; raises Failure."""
    if not isinstance(data, list):
        raise UnexpectedResponse(SHAPE)
    listed, unreadable = [], 0
    for row in data[:MAX_POSITIONS]:
        try:
            position = _position(row)
        except (ValueError, ArithmeticError):
            unreadable += 1
            continue
        listed += [position] if position is not None else []
    if unreadable and not listed:
        raise UnexpectedResponse(SHAPE)
    if len(data) > MAX_POSITIONS:
        return listed, Code.TOO_MANY_ASSETS
    return listed, Code.UNREADABLE_ROWS if unreadable else None


def _position(row: Any) -> Position | None:
    """Parse a position, None if it is closed; raises ValueError."""
    if not isinstance(row, dict) or not is_whole(row):
        raise ValueError("it is no object")
    size, kind = amount_of(row.get("pos")), _text(row, "instType").lower()
    if size is None:
        raise ValueError("it has no size")
    if not size:
        return None
    told = {
        "position_id": _text(row, "posId"),
        "instrument": _text(row, "instId"),
        "kind": kind,
        "side": _side(row, kind, short=size < 0),
        "size": size.copy_abs(),
        "size_currency": _asset(row, "posCcy") if kind == MARGIN else None,
        "margin_mode": _text(row, "mgnMode"),
        "currency": _asset(row, "ccy"),
        "entry": amount_of(row.get("avgPx")),
        "mark": amount_of(row.get("markPx")),
        "leverage": amount_of(row.get("lever")),
        "liquidation": amount_of(row.get("liqPx")),
        "unrealised": amount_of(row.get("upl")),
    }
    return msgspec.convert(told, Position)


def _side(row: Fields, kind: str, *, short: bool) -> str:
    """Return the direction: of a margin position by its currency, of another in net mode by its sign."""
    side = _text(row, "posSide")
    if side in ("long", "short"):
        return side
    if side != "net":
        raise ValueError("its side is not known")
    if kind == MARGIN:
        return "long" if _text(row, "posCcy") == _text(row, "instId").partition("-")[0] else "short"
    return "short" if short else "long"


def _text(row: Fields, name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError("a name is missing")
    return str(value)


def _asset(row: Fields, name: str) -> str | None:
    value = row.get(name)
    if value in (None, ""):
        return None
    if not isinstance(value, str) or not OKX.names_asset(value):
        raise ValueError("a currency can not be read")
    return str(value)

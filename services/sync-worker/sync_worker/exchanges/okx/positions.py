"""Parse OKX's open positions. Pure.

Source: https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-positions.
"""

import msgspec

from contracts.exchanges.okx import OKX
from contracts.faults import Failure
from contracts.positions import Position
from contracts.syncs import WalletRead
from sync_worker.exchanges.positions import asset_in, text_of
from sync_worker.exchanges.positions import with_positions as with_listed
from sync_worker.exchanges.rows import Fields
from sync_worker.exchanges.values import amount_of
from sync_worker.verdicts import Fetched

# OKX counts a margin position in its currency, and any other one in contracts.
MARGIN = "margin"


def with_positions(read: WalletRead, fetched: Fetched | Failure) -> WalletRead:
    """Return a wallet's read with its open positions, or with the reason why they are unknown."""
    return with_listed(read, fetched, _position)


def _position(row: Fields) -> Position | None:
    """Parse a position, None if it is closed; raises ValueError."""
    size, kind = amount_of(row.get("pos")), text_of(row, "instType").lower()
    if size is None:
        raise ValueError("it has no size")
    if not size:
        return None
    told = {
        "position_id": text_of(row, "posId"),
        "instrument": text_of(row, "instId"),
        "kind": kind,
        "side": _side(row, kind, short=size < 0),
        "size": size.copy_abs(),
        "size_currency": asset_in(row, "posCcy", OKX) if kind == MARGIN else None,
        "margin_mode": text_of(row, "mgnMode"),
        "currency": asset_in(row, "ccy", OKX),
        "entry": amount_of(row.get("avgPx")),
        "mark": amount_of(row.get("markPx")),
        "leverage": amount_of(row.get("lever")),
        "liquidation": amount_of(row.get("liqPx")),
        "unrealised": amount_of(row.get("upl")),
    }
    return msgspec.convert(told, Position)


def _side(row: Fields, kind: str, *, short: bool) -> str:
    """Return the direction: of a margin position by its currency, of another in net mode by its sign."""
    side = text_of(row, "posSide")
    if side in ("long", "short"):
        return side
    if side != "net":
        raise ValueError("its side is not known")
    if kind == MARGIN:
        return "long" if text_of(row, "posCcy") == text_of(row, "instId").partition("-")[0] else "short"
    return "short" if short else "long"

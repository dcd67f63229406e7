"""Parse the positions of Binance's futures accounts. Pure.

Source: https://developers.binance.com/docs/derivatives.
"""

import msgspec

from contracts.exchanges.binance import BINANCE
from contracts.positions import Position
from sync_worker.exchanges.positions import asset_in, text_of
from sync_worker.exchanges.rows import Fields
from sync_worker.exchanges.values import amount_of

KIND = "futures"
SIDES = {"LONG": "long", "SHORT": "short"}


def futures_position(row: Fields) -> Position | None:
    """Parse a position of positionRisk, None if it is closed; raises ValueError.

    Its size is in contracts; for USD-M a contract is a unit of the instrument's base. Only COIN-M reports
    leverage and margin mode.
    """
    size = amount_of(row.get("positionAmt"))
    if size is None:
        raise ValueError("it has no size")
    if not size:
        return None
    symbol, side = text_of(row, "symbol"), text_of(row, "positionSide")
    told = {
        "position_id": f"{symbol}-{side}",
        "instrument": symbol,
        "kind": KIND,
        "side": _side(side, short=size < 0),
        "size": size.copy_abs(),
        "margin_mode": _margin_mode(row),
        "currency": asset_in(row, "marginAsset", BINANCE),
        "entry": amount_of(row.get("entryPrice")),
        "mark": amount_of(row.get("markPrice")),
        "leverage": amount_of(row.get("leverage")),
        "liquidation": amount_of(row.get("liquidationPrice")) or None,
        "unrealised": amount_of(row.get("unRealizedProfit")),
    }
    return msgspec.convert(told, Position)


def _side(side: str, *, short: bool) -> str:
    if side == "BOTH":
        return "short" if short else "long"
    if side not in SIDES:
        raise ValueError("its side is not known")
    return SIDES[side]


def _margin_mode(row: Fields) -> str | None:
    mode = row.get("marginType")
    return mode.lower() if isinstance(mode, str) and mode else None

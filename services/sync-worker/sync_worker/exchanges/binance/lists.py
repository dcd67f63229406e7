"""Parse the rows of Binance's lists one by one: an unreadable row does not affect others. Pure.

Source: https://developers.binance.com/docs/wallet and its neighbours.
"""

from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from contracts.exchanges.binance import BINANCE
from contracts.values import Balance
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.binance.worths import VALUATION, Worths
from sync_worker.exchanges.rows import Fields, Naming, Row, Unreadable, amount, held_amount, read_rows
from sync_worker.exchanges.values import SHAPE, ZERO
from sync_worker.verdicts import Listed

NAMING = Naming(BINANCE, "asset")
# The parts of a row of each list besides `free`; all of them belong to the total.
OF_SPOT = ("locked", "freeze", "withdrawing", "ipoable")
OF_FUNDING = ("locked", "freeze", "withdrawing")


def listed_in(data: Any) -> Sequence[Any]:
    """Return the rows of data that is a list; raises UnexpectedResponse."""
    if not isinstance(data, list):
        raise UnexpectedResponse(SHAPE)
    return data


def parse_funding(data: Any, worths: Worths) -> Listed:
    """Parse the data of get-funding-asset; its worth is known if every asset has a valuation."""
    rows = read_rows(listed_in(data), partial(asset_row, parts=OF_FUNDING, worths=worths), NAMING)
    return Listed(rows.balances, rows.worth, unreadable=rows.unreadable)


def asset_row(fields: Fields, parts: Sequence[str], worths: Worths) -> Row:
    """Parse one asset of the spot or the funding wallet; raises Unreadable."""
    asset, free = NAMING.asset_of(fields), held_amount(fields, "free")
    rest = sum((held_amount(fields, name) for name in parts), ZERO)
    total = free + rest
    usd = worths.usd(valuation_of(fields)) if total else ZERO
    return Row(Balance(asset, total, free, rest), usd)


def valuation_of(fields: Fields) -> Decimal | None:
    """Return Binance's valuation of a row in BTC, None if it can not be read."""
    try:
        return amount(fields, VALUATION)
    except Unreadable:
        return None

"""Parse the envelope of Binance's data, and its small responses. Pure.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api.
"""

from decimal import Decimal
from typing import Any

import msgspec

from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.lenient_json import Number, is_whole
from sync_worker.exchanges.values import EPOCH, SHAPE, amount_or_none, time_of

FLAGS = ("isMarginEnabled", "isFutureEnabled", "isOptionsEnabled", "isPortfolioMarginRetailEnabled")


class Flags(msgspec.Struct, frozen=True):
    """The products that a user has enabled."""

    margin: bool
    futures: bool
    options: bool
    portfolio_margin: bool


def refused_with(document: Any) -> str | None:
    """Return the error code of a response, None for data; a refusal is an object with a code and a text."""
    if not isinstance(document, dict):
        return None
    code = document.get("code")
    refusal = isinstance(code, Number) and "msg" in document and code not in ("0", "200")
    return str(code) if refusal else None


def parse_time(data: Any) -> int:
    """Parse the data of /api/v3/time; return milliseconds since the epoch."""
    said = time_of(data.get("serverTime")) if isinstance(data, dict) and is_whole(data) else None
    if said is None:
        raise UnexpectedResponse("The time is not a valid time.")
    return round((said - EPOCH).total_seconds() * 1000)


def parse_flags(data: Any) -> Flags:
    """Parse the data of /sapi/v1/account/info; raises UnexpectedResponse if a flag is missing."""
    fields = data if isinstance(data, dict) else {}
    flags = [fields.get(name) for name in FLAGS]
    if not all(isinstance(flag, bool) for flag in flags):
        raise UnexpectedResponse(SHAPE)
    return Flags(*map(bool, flags))


def parse_price(data: Any) -> Decimal:
    """Parse the data of /api/v3/ticker/price for one symbol."""
    price = amount_or_none(data.get("price")) if isinstance(data, dict) else None
    if price is None or price <= 0:
        raise UnexpectedResponse(SHAPE)
    return price

"""The public lists: prices and best offers of pairs, which move with time, and the rules of pairs.

Source: rest-api.md of binance-spot-api-docs. The list of prices has the last price of a pair that no longer
trades; a book without offers has zeros.
"""

import json
from collections.abc import Iterator, Mapping
from decimal import Context, Decimal
from typing import Any

from deploy.simulator.binance.question import Inquiry
from deploy.simulator.binance.refusals import Refused
from deploy.simulator.binance.rows import Row
from deploy.simulator.moving import present

# The first pair no longer trades; the second one trades with an empty book.
HALTED, EMPTY = "OLDT", "THIN"
LARGE = ("BTC", "ETH", "SOL", "BNB")
DIGITS = Context(prec=12)
PLACES = Decimal("1E-8")
SPREAD = Decimal("0.0001")
ONE, ALL = 2, 4
LIMITS = (("REQUEST_WEIGHT", "MINUTE", 1, 6000), ("RAW_REQUESTS", "MINUTE", 5, 61000))
FILTERS = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.00000001", "maxPrice": "1000000", "tickSize": "0.00000001"},
    {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
]
RULES = {
    "baseAssetPrecision": 8,
    "quotePrecision": 8,
    "quoteAssetPrecision": 8,
    "baseCommissionPrecision": 8,
    "quoteCommissionPrecision": 8,
    "orderTypes": ["LIMIT", "MARKET"],
    "icebergAllowed": True,
    "ocoAllowed": True,
    "otoAllowed": True,
    "opoAllowed": True,
    "quoteOrderQtyMarketAllowed": True,
    "allowTrailingStop": True,
    "cancelReplaceAllowed": True,
    "amendAllowed": True,
    "pegInstructionsAllowed": True,
    "isSpotTradingAllowed": True,
    "isMarginTradingAllowed": True,
    "filters": FILTERS,
    "permissions": [],
    "permissionSets": [["SPOT", "MARGIN"]],
    "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
    "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
}


def listing_weight(parameters: Mapping[str, str]) -> int:
    """Return the weight of a list of prices: one symbol is cheaper."""
    return ONE if "symbol" in parameters else ALL


def ticker_price(inquiry: Inquiry) -> Any:
    """Return the last price of one pair, of some, or of all."""
    return _some(inquiry, {symbol: _price(inquiry, *pair) for symbol, pair in _pairs(inquiry)})


def book_ticker(inquiry: Inquiry) -> Any:
    """Return the best offers of one pair, of some, or of all."""
    return _some(inquiry, {symbol: _book(inquiry, *pair) for symbol, pair in _pairs(inquiry)})


def exchange_info(inquiry: Inquiry) -> Any:
    """Return the limits, and the rules of pairs."""
    rows = {
        symbol: {
            "symbol": symbol,
            "status": "BREAK" if base == HALTED else "TRADING",
            "baseAsset": base,
            "quoteAsset": quote,
            **RULES,
        }
        for symbol, (base, quote) in _pairs(inquiry)
    }
    listed = _some(inquiry, rows)
    return {
        "timezone": "UTC",
        "serverTime": inquiry.stamp(inquiry.now),
        "rateLimits": [
            {"rateLimitType": kind, "interval": unit, "intervalNum": number, "limit": limit}
            for kind, unit, number, limit in LIMITS
        ],
        "exchangeFilters": [],
        "symbols": listed if isinstance(listed, list) else [listed],
    }


def no_pairs(inquiry: Inquiry) -> Any:
    """Return the rules of a host whose pairs are not simulated."""
    return {"timezone": "UTC", "serverTime": inquiry.stamp(inquiry.now), "rateLimits": [], "symbols": []}


def _pairs(inquiry: Inquiry) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield every pair by its symbol: each asset against USDT, and large ones against more."""
    pairs = [(asset, "USDT") for asset in inquiry.prices if asset != "USDT"]
    pairs += [(asset, "USDC") for asset in LARGE]
    pairs += [(asset, "BTC") for asset in LARGE[1:]]
    yield from ((base + quote, (base, quote)) for base, quote in pairs)


def _some(inquiry: Inquiry, rows: Mapping[str, Row]) -> Any:
    """Return the row of `symbol`, the rows of `symbols` (JSON), or all; raises Refused for an unknown one."""
    if "symbol" in inquiry.parameters and "symbols" in inquiry.parameters:
        raise Refused("-1101")
    try:
        if one := inquiry.parameters.get("symbol"):
            return rows[one]
        some = inquiry.parameters.get("symbols")
        return [rows[symbol] for symbol in json.loads(some)] if some else list(rows.values())
    except KeyError as error:
        raise Refused("-1121") from error
    except (TypeError, ValueError) as error:
        raise Refused("-1100", "symbols", "a JSON array") from error


def _rate(inquiry: Inquiry, base: str, quote: str) -> Decimal:
    first, second = (present(inquiry.prices, asset, inquiry.now) for asset in (base, quote))
    return DIGITS.divide(first, second)


def _price(inquiry: Inquiry, base: str, quote: str) -> Row:
    return {"symbol": base + quote, "price": _text(_rate(inquiry, base, quote))}


def _book(inquiry: Inquiry, base: str, quote: str) -> Row:
    rate = Decimal(0) if base in {HALTED, EMPTY} else _rate(inquiry, base, quote)
    size = _text(Decimal(10) if rate else rate)
    return {
        "symbol": base + quote,
        "bidPrice": _text(rate * (1 - SPREAD)),
        "bidQty": size,
        "askPrice": _text(rate * (1 + SPREAD)),
        "askQty": size,
    }


def _text(number: Decimal) -> str:
    return f"{number.quantize(PLACES):f}"

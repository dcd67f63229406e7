"""The public lists of prices: last trades of spot pairs, and indexes in USD, both of which move with time.

Source: the exchange's documentation of /api/v5/market/tickers and /api/v5/market/index-tickers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal

from deploy.simulator.moving import present
from deploy.simulator.okx.payloads import milliseconds
from deploy.simulator.okx.refusals import Refused
from deploy.simulator.okx.rows import VALUATION_UNITS, Row
from deploy.simulator.types import Upkeep

KINDS = ("SPOT", "SWAP", "FUTURES", "OPTION", "EVENTS")
INDEX_UNITS = ("USD", "USDT", "BTC", "USDC")
# No pairs, but units in which the exchange shows a valuation.
CURRENCIES = frozenset(VALUATION_UNITS.split()) - {"BTC", "USDT"}
# The exchange values it, and it has neither a pair nor an index.
UNTRADED = frozenset({"OLDT"})
# Assets with pairs against more units than USDT.
LARGE = ("BTC", "ETH", "SOL")
DIGITS = Context(prec=12)
SPREAD = Decimal("0.0001")
TRADED = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Inquiry:
    """The input of a public endpoint: the query, the time, the prices in USD and the maintenance, if any."""

    query: Mapping[str, str]
    now: datetime
    prices: Mapping[str, Decimal]
    upkeep: Upkeep | None = None

    def price(self, asset: str) -> Decimal:
        """Return the present price of an asset in USD."""
        return present(self.prices, asset, self.now)


def tickers(inquiry: Inquiry) -> list[Row]:
    """Return the last trades of one kind of instrument; only spot pairs are simulated."""
    kind = inquiry.query.get("instType")
    if kind not in KINDS:
        raise Refused("51000", "instType")
    return [_ticker(inquiry, *pair) for pair in _pairs(inquiry.prices)] if kind == "SPOT" else []


def index_tickers(inquiry: Inquiry) -> list[Row]:
    """Return the indexes in one unit."""
    unit = inquiry.query.get("quoteCcy", "")
    if unit not in INDEX_UNITS:
        raise Refused("51000", "quoteCcy")
    return [
        _index(inquiry, asset, unit)
        for asset in inquiry.prices
        if asset not in CURRENCIES | UNTRADED | {unit}
    ]


def _pairs(prices: Mapping[str, Decimal]) -> Iterator[tuple[str, str]]:
    for asset in prices:
        if asset not in CURRENCIES | UNTRADED | {"USDT"}:
            yield asset, "USDT"
    yield from ((asset, "USDC") for asset in LARGE)
    yield from ((asset, "BTC") for asset in LARGE[1:])
    yield "BTC", "USD"


def _ticker(inquiry: Inquiry, base: str, quote: str) -> Row:
    price = DIGITS.divide(inquiry.price(base), inquiry.price(quote))
    turnover = DIGITS.divide(TRADED * (1 if quote == "USDT" else SPREAD), inquiry.price(quote))
    day = {name: _text(price) for name in ("last", "open24h", "high24h", "low24h", "sodUtc0", "sodUtc8")}
    return {
        "instType": "SPOT",
        "instId": f"{base}-{quote}",
        "lastSz": "1",
        "askPx": _text(DIGITS.multiply(price, 1 + SPREAD)),
        "askSz": "10",
        "bidPx": _text(DIGITS.multiply(price, 1 - SPREAD)),
        "bidSz": "10",
        "volCcy24h": _text(turnover),
        "vol24h": _text(DIGITS.divide(turnover, price)),
        "ts": milliseconds(inquiry.now),
        **day,
    }


def _index(inquiry: Inquiry, asset: str, unit: str) -> Row:
    price = _text(DIGITS.divide(inquiry.price(asset), inquiry.price(unit)))
    day = dict.fromkeys(("high24h", "sodUtc0", "open24h", "low24h", "sodUtc8"), price)
    return {"instId": f"{asset}-{unit}", "idxPx": price, "ts": milliseconds(inquiry.now), **day}


def _text(number: Decimal) -> str:
    return f"{number:f}"

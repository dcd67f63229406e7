"""Public prices: the request to read an exchange's lists, and the lists as a worker read them."""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Annotated
from uuid import UUID

import msgspec

from contracts.faults import CodeText
from contracts.values import AssetCode, AwareTime

# Two thousand rows take about half of it.
MAX_READING_BYTES = 1024 * 1024
MAX_ROWS = 4000

# The unit of every price that the API shows.
USD = "USD"
# The second source: the reference rates of the European Central Bank, in units of each currency for 1 EUR.
ECB, EUR = "ecb", "EUR"
# Coins that promise to be worth a unit of a currency. Each is worth its market rate where there is one.
PEGS: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("USDT", "USDC", "USDG", "PYUSD", "DAI", "TUSD", "FDUSD", "USDP", "RLUSD"), USD)
)

# Exchanges that publish indexes in USD. If an asset has several prices, their price counts first.
INDEXED = ("okx",)

# A decimal number as the exchange writes it. A text, because the gateway only parses those that it needs.
NumberText = Annotated[str, msgspec.Meta(max_length=40)]


class PricesRequested(msgspec.Struct, frozen=True):
    """Read the public prices of an exchange before the deadline; a later request replaces this one."""

    exchange: str
    request_id: UUID
    requested_at: AwareTime
    deadline: AwareTime


class Quote(msgspec.Struct, frozen=True, gc=False):
    """The last trade of a pair and the best offers, in units of `quote` for one unit of `base`.

    `volume` is the volume of a day, in units of `quote`. `at` is the exchange's own time, or the time of the
    read if the exchange reports no time. None means that the exchange did not report it or that it is
    unreadable, never zero; a pair without offers has no price.
    """

    base: AssetCode
    quote: AssetCode
    last: NumberText | None = None
    bid: NumberText | None = None
    ask: NumberText | None = None
    volume: NumberText | None = None
    at: AwareTime | None = None


class IndexPrice(msgspec.Struct, frozen=True, gc=False):
    """The exchange's index of a pair: a price that it computes from several exchanges."""

    base: AssetCode
    quote: AssetCode
    price: NumberText | None = None
    at: AwareTime | None = None


Quotes = Annotated[tuple[Quote, ...], msgspec.Meta(max_length=MAX_ROWS)]
Indexes = Annotated[tuple[IndexPrice, ...], msgspec.Meta(max_length=MAX_ROWS)]


class PricesRead(msgspec.Struct, frozen=True):
    """The lists of an exchange as a worker read them; a list that it could not read is None.

    `read_at` is the worker's UTC clock before the reads. `error_code` is the reason why a list is None.
    `fixed_on` is the day of rates that a bank fixes once a day; None for an exchange. Without `has_volumes`
    the exchange's lists have no volumes; a missing one then says nothing about a pair.
    """

    exchange: str
    request_id: UUID
    read_at: AwareTime
    quotes: Quotes | None = None
    indexes: Indexes | None = None
    error_code: CodeText | None = None
    fixed_on: date | None = None
    has_volumes: bool = True

"""Prices of the past: of assets at full hours, and of currencies at fixings."""

from datetime import date, datetime
from decimal import Decimal

import msgspec

from contracts.faults import CodeText


class Point(msgspec.Struct, frozen=True):
    """The price of an asset in USD at the full hour `at`."""

    asset: str
    source: str
    at: datetime
    value: Decimal
    method: str
    observed_at: datetime
    code: CodeText | None
    pair: str | None


class Fixing(msgspec.Struct, frozen=True):
    """How much of a currency 1 unit of the base was worth at a fixing."""

    source: str
    fixed_on: date
    base: str
    currency: str
    rate: Decimal

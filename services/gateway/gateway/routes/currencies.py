"""Rates of currencies that are no assets of an exchange."""

from datetime import date, datetime

import msgspec
from litestar import get
from litestar.di import NamedDependency

from contracts.prices import ECB, EUR
from contracts.values import AmountText, amount_text
from gateway.http.answers import documented
from gateway.portfolio.markets import number
from gateway.prices.readings import Reading, Readings
from gateway.routes.parameters import SignedInRequest


class RateView(msgspec.Struct, frozen=True):
    """A currency, and how much of it 1 unit of the base was worth at the fixing."""

    currency: str
    rate: AmountText


class CurrenciesView(msgspec.Struct, frozen=True):
    """The reference rates of the European Central Bank, for information only.

    `fixed_on` is the day of the fixing: on weekends and holidays that of the last working day. `read_at` is
    when we read it. Both are null, and there are no rates, before the first reading.
    """

    source: str
    base: str
    fixed_on: date | None
    read_at: datetime | None
    rates: tuple[RateView, ...]


@get("/currencies", responses=documented(401), tags=["prices"])
async def list_currencies(
    request: SignedInRequest,  # noqa: ARG001 - only users may ask
    readings: NamedDependency[Readings],
) -> CurrenciesView:
    """List the rates of currencies with the day of their fixing."""
    last, _ = await readings.last()
    return _view(next((each for each in last if each.read.exchange == ECB), None))


def _view(reading: Reading | None) -> CurrenciesView:
    if reading is None:
        return CurrenciesView(ECB, EUR, None, None, ())
    rates = ((each.quote, number(each.price)) for each in reading.read.indexes or ())
    shown = sorted((name, rate) for name, rate in rates if rate is not None and rate > 0)
    views = tuple(RateView(name, amount_text(rate)) for name, rate in shown)
    return CurrenciesView(ECB, EUR, reading.read.fixed_on, reading.market.seen_at, views)

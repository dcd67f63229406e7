"""The worth of accounts in the past: over time, and everything behind it at one time."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get
from litestar.params import QueryParameter

from gateway.accounts.history import Asked, Span, find_at, find_history, parsed_time
from gateway.http.answers import documented
from gateway.http.history_views import (
    AssetHistoryView,
    HistoryView,
    StatementView,
    asset_history_view,
    history_view,
    statement_view,
)
from gateway.portfolio.grid import Interval
from gateway.routes.parameters import Database, SignedInRequest

TAG = ["history"]
EXAMPLE = "such as 2026-11-28T12:00:00Z"
# Texts, because Litestar reads the value `null` of an optional time as no value.
From = Annotated[
    str | None,
    QueryParameter(name="from", format="date-time", description=f"The first time, {EXAMPLE}"),
]
To = Annotated[
    str | None,
    QueryParameter(name="to", format="date-time", description=f"The last time, {EXAMPLE}; now if left out"),
]
Time = Annotated[str, QueryParameter(format="date-time", description=f"A time of the past, {EXAMPLE}")]
Every = Annotated[
    str, QueryParameter(pattern=r"\A(hour|day|week)\Z", description="hour, day or week between points")
]
Currency = Annotated[
    str, msgspec.Meta(description="The currency of values: USD, or one that GET /currencies lists.")
]


@get("/portfolio/history", responses=documented(400, 401), tags=TAG)
async def show_history(
    request: SignedInRequest,
    pool: Database,
    since: From = None,
    until: To = None,
    interval: Every = "hour",
    currency: Currency = "USD",
) -> HistoryView:
    """Show the worth of all accounts over time, with at most 2,200 points.

    Without `from`, it shows the last day, 30 days or 52 weeks.
    """
    span = _span(since, until, interval)
    shown = await find_history(pool, Asked(request.user.id, currency=currency), span)
    return history_view(shown, span.interval)


@get("/accounts/{account_id:uuid}/history", responses=documented(400, 401, 404), tags=TAG)
async def show_account_history(
    account_id: UUID,
    request: SignedInRequest,
    pool: Database,
    since: From = None,
    until: To = None,
    interval: Every = "hour",
    currency: Currency = "USD",
) -> HistoryView:
    """Show the worth of an account over time, with at most 2,200 points."""
    span = _span(since, until, interval)
    shown = await find_history(pool, Asked(request.user.id, account_id, currency=currency), span)
    return history_view(shown, span.interval)


@get("/portfolio/assets/{asset:str}/history", responses=documented(400, 401), tags=TAG)
async def show_asset_history(
    asset: str,
    request: SignedInRequest,
    pool: Database,
    since: From = None,
    until: To = None,
    interval: Every = "hour",
    currency: Currency = "USD",
) -> AssetHistoryView:
    """Show the quantity, price and value of one asset over time, with at most 2,200 points."""
    span = _span(since, until, interval)
    asked = Asked(request.user.id, asset=asset, currency=currency)
    return asset_history_view(asset, await find_history(pool, asked, span), span.interval)


@get("/portfolio/at", responses=documented(400, 401), tags=TAG)
async def show_statement(
    request: SignedInRequest, pool: Database, time: Time, currency: Currency = "USD"
) -> StatementView:
    """Show everything behind the worth at one time: accounts, wallets, amounts, prices and sources."""
    at = parsed_time("time", time)
    return statement_view(await find_at(pool, Asked(request.user.id, currency=currency), at))


def _span(first: str | None, last: str | None, interval: str) -> Span:
    begin = None if first is None else parsed_time("from", first)
    end = None if last is None else parsed_time("to", last)
    return Span(begin, end, Interval(interval))

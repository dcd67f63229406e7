"""The worth of all accounts of a user together, and its export."""

import asyncio
from typing import Annotated

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from litestar.response import Stream

from gateway.accounts.export import export, find_range
from gateway.accounts.history import parsed_day
from gateway.accounts.worth import find_portfolio
from gateway.http.answers import documented
from gateway.http.export import as_csv, as_json
from gateway.http.flowing import Flowing
from gateway.http.rate_limits import OPTION, RATE_LIMIT, USER_ALONE
from gateway.http.worth_views import PortfolioView, portfolio_view
from gateway.portfolio.lines import Line
from gateway.prices.readings import Readings
from gateway.routes.parameters import Database, FirstDay, LastDay, Restored, SignedInRequest

Currency = Annotated[
    str, msgspec.Meta(description="The currency of values: USD, or one that GET /currencies lists.")
]
EXPORTED = {
    200: ResponseSpec(
        tuple[Line, ...],
        description="By day, account, wallet and asset; as text/csv with a header, where null is "
        "an empty cell",
        generate_examples=False,
    )
}
Form = Annotated[str, QueryParameter(name="format", pattern=r"\A(csv|json)\Z", description="csv or json")]


@get("/portfolio", responses=documented(401), tags=["portfolio"])
async def show_portfolio(
    request: SignedInRequest,
    pool: Database,
    readings: NamedDependency[Readings],
    restored: Restored,
    currency: Currency = "USD",
) -> PortfolioView:
    """Show the worth of all accounts by asset, account and wallet, with every reason to doubt it."""
    found = await find_portfolio(pool, readings, request.user.id, restored, currency)
    return await asyncio.to_thread(portfolio_view, found)


@get(
    "/portfolio/export",
    responses=documented(400, 401, 429) | EXPORTED,
    response_headers=RATE_LIMIT,
    opt={OPTION: "export", **USER_ALONE},
    middleware=[Flowing()],
    tags=["portfolio"],
)
async def export_portfolio(
    request: SignedInRequest,
    pool: Database,
    form: Form = "csv",
    first: FirstDay = None,
    last: LastDay = None,
) -> Stream:
    """Export the daily closes: a line for each day, account, wallet and asset, as CSV or as a JSON array.

    One request has 366 days at most. An export that ends early ends the connection: then ask again.
    """
    begin, end = await find_range(pool, parsed_day("from", first), parsed_day("to", last))
    parts = export(pool, request.user.id, begin, end)
    name = f"portfolio-{begin}-{end}.{form}"
    return Stream(
        as_csv(parts) if form == "csv" else as_json(parts),
        media_type="text/csv; header=present" if form == "csv" else "application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )

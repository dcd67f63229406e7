"""The worth of all accounts of a user together."""

from typing import Annotated

import msgspec
from litestar import get
from litestar.di import NamedDependency

from gateway.accounts.worth import find_portfolio
from gateway.http.answers import documented
from gateway.http.worth_views import PortfolioView, portfolio_view
from gateway.prices.readings import Readings
from gateway.routes.parameters import Database, Restored, SignedInRequest

Currency = Annotated[
    str, msgspec.Meta(description="The currency of values: USD, or one that GET /currencies lists.")
]


@get("/portfolio", responses=documented(401), tags=["portfolio"])
async def show_portfolio(
    request: SignedInRequest,
    pool: Database,
    readings: NamedDependency[Readings],
    restored: Restored,
    currency: Currency = "USD",
) -> PortfolioView:
    """Show the worth of all accounts by asset, account and wallet, with every reason to doubt it."""
    return portfolio_view(await find_portfolio(pool, readings, request.user.id, restored, currency))

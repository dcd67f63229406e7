"""Open positions of an account, and how its lists compare with the exchange's totals."""

from typing import Annotated
from uuid import UUID

from litestar import get
from litestar.params import QueryParameter

from contracts.exchanges import EXCHANGES
from gateway.accounts import look
from gateway.http.answers import documented
from gateway.http.position_views import DriftPage, PositionsView, drift_page, positions_view
from gateway.routes.parameters import Database, SignedInRequest

Limit = Annotated[int, QueryParameter(ge=1, le=100)]
# Text, because Litestar reads the value `null` of an optional number as no value.
Cursor = Annotated[str | None, QueryParameter(pattern=r"\A[1-9][0-9]{0,15}\Z")]


@get("/accounts/{account_id:uuid}/positions", responses=documented(401, 404), tags=["balances"])
async def show_positions(account_id: UUID, request: SignedInRequest, pool: Database) -> PositionsView:
    """Show the open positions of an account by wallet; the balances include their worth already."""
    account, stored, wallets = await look.find_positions(pool, request.user.id, account_id)
    return positions_view(account.id, EXCHANGES[account.exchange], stored, wallets)


@get("/accounts/{account_id:uuid}/drift", responses=documented(400, 401, 404), tags=["balances"])
async def list_drift(
    account_id: UUID, request: SignedInRequest, pool: Database, limit: Limit = 20, cursor: Cursor = None
) -> DriftPage:
    """List how the worth of each wallet compared with the exchange's total, in the last 90 days.

    `limit` counts syncs, and `cursor` is the `next_cursor` of the previous page.
    """
    before = None if cursor is None else int(cursor)
    listed, more = await look.list_drift(pool, request.user.id, account_id, before, limit)
    return drift_page(listed, more=more)

"""The changes in the accounts of a user."""

from typing import Annotated

from litestar import get
from litestar.params import QueryParameter

from gateway.accounts.changes import LAST_ID, find_attribution, list_changes, place_of
from gateway.accounts.history import parsed_time
from gateway.http.answers import documented
from gateway.http.attribution_views import ChangesSummary, changes_summary
from gateway.http.change_views import ChangesPage, changes_page
from gateway.routes.history import From, To
from gateway.routes.parameters import Database, SignedInRequest
from gateway.routes.syncs import Limit
from gateway.rows.snapshots import Place

Cursor = Annotated[
    str | None, QueryParameter(pattern=r"\A[0-9TZ.]{8,30}~[0-9a-f-]{36}\Z", description="`next_cursor`")
]


@get("/portfolio/changes", responses=documented(400, 401), tags=["history"])
async def list_portfolio_changes(
    request: SignedInRequest,
    pool: Database,
    since: From = None,
    until: To = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> ChangesPage:
    """List what changed in all accounts, newest first; `cursor` is the `next_cursor` of the previous page.

    A change concerns quantities or the states of wallets. A change of prices alone is not listed, but counts
    in the summary.
    """
    first = None if since is None else parsed_time("from", since)
    last = None if until is None else Place(parsed_time("to", until), LAST_ID)
    before = last if cursor is None else place_of(cursor)
    return changes_page(await list_changes(pool, request.user.id, first, before, limit))


@get("/portfolio/changes/summary", responses=documented(400, 401), tags=["history"])
async def summarize_portfolio_changes(
    request: SignedInRequest, pool: Database, since: From = None, until: To = None
) -> ChangesSummary:
    """Split the change of the worth of all accounts in USD by cause: quantities, prices and coverage.

    Without `from`, it begins a day before `to`.
    """
    first = None if since is None else parsed_time("from", since)
    last = None if until is None else parsed_time("to", until)
    return changes_summary(await find_attribution(pool, request.user.id, first, last))

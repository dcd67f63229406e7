"""The parameters that several handlers share: the request, and parts of the gateway by name."""

from typing import Annotated, Any

from litestar import Request
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from gateway.identity.tokens import SignedIn
from gateway.rows.restores import Restore
from gateway.store.pool import Pool
from gateway.syncs.waiting import ExchangeWaits

SignedInRequest = Request[SignedIn, Any, Any]
AnyRequest = Request[Any, Any, Any]
Database = NamedDependency[Pool]
# Our source addresses of calls to exchanges.
Egress = NamedDependency[tuple[str, ...]]
# The last restore of the database from a backup; the parameter's name is `restored`.
Restored = NamedDependency[Restore | None]
# The syncs that wait for their exchange; the parameter's name is `waiting`.
Waiting = NamedDependency[ExchangeWaits]
A_DAY = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z"
# Texts, because Litestar reads the value `null` of an optional day as no value.
FirstDay = Annotated[
    str | None, QueryParameter(name="from", pattern=A_DAY, format="date", description="The first day")
]
LastDay = Annotated[
    str | None,
    QueryParameter(name="to", pattern=A_DAY, format="date", description="The last day; today if left out"),
]


def client_address(request: AnyRequest) -> str | None:
    """Return the client's network address."""
    return request.client.host if request.client else None

"""Exchanges: pause and resume them."""

from litestar import post

from gateway.http.answers import documented
from gateway.http.operating import OperatorRequest
from gateway.operators import venues
from gateway.operators.venues import ExchangeState
from gateway.routes.parameters import Database

TAG = ["exchanges"]
ACTING = documented(401, 403, 404, 429)


@post("/api/v1/admin/exchanges/{exchange:str}/pause", status_code=200, responses=ACTING, tags=TAG)
async def pause_exchange(exchange: str, request: OperatorRequest, pool: Database) -> ExchangeState:
    """Pause an exchange: all gateways refuse new syncs and keys of it; open syncs end as they would."""
    return await venues.pause(pool, request.user, exchange)


@post("/api/v1/admin/exchanges/{exchange:str}/resume", status_code=200, responses=ACTING, tags=TAG)
async def resume_exchange(exchange: str, request: OperatorRequest, pool: Database) -> ExchangeState:
    """End the pause of an exchange."""
    return await venues.resume(pool, request.user, exchange)

"""Rate limits: every route that changes data has one, and reads that cost much; they tell what is left."""

from http import HTTPStatus
from typing import Any

from litestar.connection import ASGIConnection
from litestar.datastructures import MutableScopeHeaders, ResponseHeader
from litestar.handlers import BaseRouteHandler
from litestar.types import Message, Scope

from gateway.http.allowances import rate_limit_fields
from gateway.limits import Charge, Limits, Policy, client_network
from gateway.quotas import admit
from gateway.store.pool import Pool

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# The option of a route that names its policy in Limits, or says that its handler counts by itself.
OPTION = "limit"
BY_ITSELF = "by itself"
COUNTED = {OPTION: BY_ITSELF}
# A route may also count for its user alone, not for all users of one address together.
SHARED = "shared"
USER_ALONE = {SHARED: False}
TOLD = "rate_limit"
AnyConnection = ASGIConnection[Any, Any, Any, Any]


def documented_header(name: str, example: str, words: str) -> ResponseHeader:
    """Describe a header of a response; the example gives it its schema."""
    return ResponseHeader(name=name, value=example, description=words, documentation_only=True)


RATE_LIMIT = [
    documented_header("RateLimit-Policy", '"sync";q=60;w=60', "How often you may ask"),
    documented_header("RateLimit", '"sync";r=59;t=60', "How many requests are left, and for how long"),
]


class Limiting:
    """Counts requests that change data, before their bodies are read, and reads whose route names a policy.

    The policy of a change is `write` unless the route names another. A request of a signed-in user counts
    for the user and, unless the route counts for its user alone, for all users behind the address. Requests
    without a token count for the address separately, so they do not reduce the quota of signed-in users.
    """

    def __init__(self, pool: Pool, limits: Limits) -> None:
        self._pool = pool
        self._limits = limits

    async def guard(self, connection: AnyConnection, handler: BaseRouteHandler) -> None:
        """Count one request; raises RateLimitExceeded when the quota is used up."""
        is_write = connection.scope.get("method") in WRITES
        name = handler.opt.get(OPTION, "write" if is_write else BY_ITSELF)
        if name == BY_ITSELF:
            return
        async with self._pool.transaction() as database:
            policies = self._policies(name)
            shared = handler.opt.get(SHARED, True)
            allowances = await admit(database, self._charges(connection, policies, shared=shared))
        connection.state[TOLD] = rate_limit_fields(allowances[: len(policies)])

    def _policies(self, name: str) -> tuple[Policy, ...]:
        named: Policy | tuple[Policy, ...] = getattr(self._limits, name)
        return (named,) if isinstance(named, Policy) else named

    def _charges(
        self, connection: AnyConnection, policies: tuple[Policy, ...], *, shared: bool
    ) -> list[Charge]:
        user = connection.scope.get("user")
        address = connection.client.host if connection.client else None
        subject = str(user.id) if user else client_network(address)
        of_address = self._limits.by_address(address) if user and shared else []
        return [*((policy, subject) for policy in policies), *of_address]


async def tell_limits(message: Message, scope: Scope) -> None:
    """Add the rate limit fields to a successful response, unless the handler has added them."""
    told = scope["state"].get(TOLD)
    if message["type"] != "http.response.start" or message["status"] >= HTTPStatus.BAD_REQUEST or not told:
        return
    headers = MutableScopeHeaders.from_message(message)
    for name, value in told.items():
        headers.setdefault(name, value)

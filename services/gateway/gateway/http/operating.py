"""The operators' side of HTTP: their tokens, and their routes beside health and metrics on one port."""

from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ASGIApp, Receive, Scope, Send

from chassis.health import Application
from contracts.operators import Role
from gateway.http.authentication import PUBLIC
from gateway.operators.access import Access
from gateway.store.operators import Acting

# Everything else on the operations port is for machines, and needs no token: /healthz, /readyz and /metrics.
ROOMS = ("/api/v1/admin/", "/admin/")
BEARER = "bearer "
SCHEME = "OperatorToken"
SECURITY: list[dict[str, list[str]]] = [{SCHEME: []}]
COMPONENTS = Components(
    security_schemes={
        SCHEME: SecurityScheme(
            type="http",
            scheme="bearer",
            description="The token that `python -m deploy.database ... operator add` shows once.",
        )
    }
)

OperatorRequest = Request[Acting, Any, Any]


class Guarding:
    """Lets only operators in: with GET every role, else only the role operator."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def guard(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Find the operator of a request; raises OperatorUnknown, RoleTooSmall and RateLimitExceeded."""
        if handler.opt.items() >= PUBLIC.items():
            return
        said = connection.headers.get("authorization", "")
        token = said[len(BEARER) :] if said.lower().startswith(BEARER) else ""
        needed = Role.VIEWER if connection.scope.get("method") in {"GET", "HEAD"} else Role.OPERATOR
        address = connection.client.host if connection.client else None
        connection.scope["user"] = await self._access.enter(token, address, needed)


def operations_application(health: Application, admin: ASGIApp) -> ASGIApp:
    """Return the application of the operations port: the operators' API, and health and metrics."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if str(scope.get("path", "")).startswith(ROOMS):
            await admin(scope, receive, send)
        else:
            await health(scope, receive, send)  # type: ignore[arg-type]  # the chassis names ASGI's types itself

    return application

"""The state of the system, and the description of the operators' API."""

from functools import cache
from typing import Any

from litestar import Litestar, MediaType, Request, Response, get
from litestar.di import NamedDependency
from litestar.serialization import encode_json

from gateway.http.answers import documented
from gateway.http.authentication import PUBLIC
from gateway.http.openapi import described
from gateway.operators.status import Overview, Status


@get("/api/v1/admin/status", responses=documented(401, 429), tags=["status"])
async def show_status(overview: NamedDependency[Overview]) -> Status:
    """Show health, counts, sizes and limits."""
    return await overview.status()


@get("/admin/openapi.json", include_in_schema=False, opt=PUBLIC)
async def openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Serve the OpenAPI document of the operators' API."""
    return Response(_described(request.app), media_type=MediaType.JSON)


@cache
def _described(app: Litestar) -> bytes:
    return encode_json(described(app))

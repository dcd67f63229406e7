"""The routes of the API according to its OpenAPI document."""

import re
from typing import Any

import httpx
import msgspec

PARAMETER = re.compile(r"{(\w+)}")


class Route(msgspec.Struct, frozen=True):
    """One operation: its method, its path with parameters in braces, and the body it takes."""

    method: str
    path: str
    operation: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def parameter(self) -> str | None:
        """Return the name of the path's parameter; no route has more than one."""
        found = PARAMETER.search(self.path)
        return found[1] if found else None

    def at(self, identifier: str) -> str:
        """Return the path with an id filled in."""
        return PARAMETER.sub(identifier, self.path)


async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    """Read the document."""
    answer = await client.get(str(client.base_url).replace("/api/v1/", "/openapi.json"))
    return dict(answer.raise_for_status().json())


async def all_routes(client: httpx.AsyncClient) -> list[Route]:
    """List every operation."""
    paths = (await document(client))["paths"]
    return [
        Route(method.upper(), path, operation)
        for path, methods in paths.items()
        for method, operation in methods.items()
    ]

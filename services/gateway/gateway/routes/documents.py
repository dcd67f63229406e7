"""The documents that describe the service, Swagger UI, and the health checks."""

from functools import cache
from importlib.util import find_spec
from mimetypes import guess_type
from pathlib import Path
from typing import Any

from litestar import Litestar, MediaType, Request, Response, get
from litestar.di import NamedDependency
from litestar.response import File
from litestar.serialization import encode_json

from chassis.health import Ready
from contracts.wire.asyncapi import DOCUMENT
from gateway.errors import NotFound
from gateway.http.authentication import PUBLIC, AccessTokens
from gateway.http.openapi import described
from gateway.identity.key_set import JwkSet


def _swagger_files() -> dict[str, Path]:
    """Find the files of the package without importing it, because it would import Jinja."""
    package = find_spec("swagger_ui")
    places = package.submodule_search_locations if package else None
    return {path.name: path for place in places or () for path in (Path(place) / "static").glob("*.*")}


FILES = _swagger_files()
OPENAPI = "/openapi.json"
KEY_SET = "/.well-known/jwks.json"
# A reader knows a new key that long before a gateway signs with it: docs/decisions/0035.
KEY_SET_SECONDS = 300
SWAGGER = "/swagger-ui"
PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Crypto Pocket Butler</title>
<link rel="stylesheet" href="{SWAGGER}/files/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{SWAGGER}/files/swagger-ui-bundle.js"></script>
<script src="{SWAGGER}/start.js"></script>
</body>
</html>
"""
START = f'SwaggerUIBundle({{url: "{OPENAPI}", dom_id: "#swagger-ui", validatorUrl: null}});\n'
PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
)


@get(OPENAPI, include_in_schema=False, opt=PUBLIC)
async def openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Serve the OpenAPI document."""
    return Response(_described(request.app), media_type=MediaType.JSON)


@get("/asyncapi.json", include_in_schema=False, opt=PUBLIC)
async def asyncapi() -> Response[bytes]:
    """Serve the AsyncAPI document of the bus."""
    return Response(_described_bus(), media_type=MediaType.JSON)


@get(KEY_SET, include_in_schema=False, opt=PUBLIC)
async def key_set(tokens: NamedDependency[AccessTokens]) -> Response[JwkSet]:
    """Serve the public keys of access tokens, for programs that verify tokens themselves."""
    headers = {"Cache-Control": f"public, max-age={KEY_SET_SECONDS}"}
    return Response(tokens.key_set, media_type="application/jwk-set+json", headers=headers)


@get(SWAGGER, media_type=MediaType.HTML, include_in_schema=False, opt=PUBLIC)
async def swagger_ui() -> Response[str]:
    """Serve the Swagger UI page; all its files come from this gateway."""
    return Response(PAGE, media_type=MediaType.HTML, headers={"Content-Security-Policy": PAGE_POLICY})


@get(f"{SWAGGER}/start.js", include_in_schema=False, opt=PUBLIC)
async def swagger_start() -> Response[str]:
    """Serve the script that starts Swagger UI, because the page's policy allows no inline script."""
    return Response(START, media_type="text/javascript")


@get("/healthz", include_in_schema=False, opt=PUBLIC)
async def healthz() -> dict[str, bool]:
    """Report that the event loop is running."""
    return {"healthy": True}


@get("/readyz", include_in_schema=False, opt=PUBLIC)
async def readyz(ready: NamedDependency[Ready]) -> Response[dict[str, bool]]:
    """Report whether the gateway can do its work, as of a second ago; the operations port has details."""
    able = await ready.ready()
    return Response({"ready": able}, status_code=200 if able else 503)


@get(f"{SWAGGER}/files/{{name:str}}", include_in_schema=False, opt=PUBLIC)
async def swagger_file(name: str) -> File:
    """Serve a file of Swagger UI; `name` can only select one of the package's files."""
    path = FILES.get(name)
    if path is None:
        raise NotFound
    return File(path, media_type=guess_type(name)[0], content_disposition_type="inline")


@cache
def _described(app: Litestar) -> bytes:
    return encode_json(described(app))


@cache
def _described_bus() -> bytes:
    return DOCUMENT.read_bytes()

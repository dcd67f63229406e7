"""What describes the service and tells whether it is there: Swagger UI and health."""

from importlib.resources import files
from pathlib import Path

from litestar import MediaType, Response, Router, get
from litestar.static_files import create_static_files_router

from contracts.operations.health import readiness
from gateway.context import Gateway

OPENAPI = "/openapi.json"
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


@get(SWAGGER, media_type=MediaType.HTML, include_in_schema=False)
async def swagger_ui() -> Response[str]:
    """Show the API to a person; every file comes from here."""
    return Response(PAGE, media_type=MediaType.HTML, headers={"Content-Security-Policy": PAGE_POLICY})


@get(f"{SWAGGER}/start.js", include_in_schema=False)
async def swagger_start() -> Response[str]:
    """Start Swagger UI without a script inside the page."""
    return Response(START, media_type="text/javascript")


@get("/healthz", include_in_schema=False)
async def healthz() -> dict[str, bool]:
    """Tell that the loop turns."""
    return {"healthy": True}


@get("/readyz", include_in_schema=False)
async def readyz(gateway: Gateway) -> Response[dict[str, bool]]:
    """Tell whether the gateway can do its work; the operations port tells what it waits for."""
    ready = (await readiness(gateway.checks)).ready
    return Response({"ready": ready}, status_code=200 if ready else 503)


def swagger_files() -> Router:
    """Serve the files of Swagger UI from the installed package."""
    directory = Path(str(files("swagger_ui"))) / "static"
    return create_static_files_router(
        path=f"{SWAGGER}/files", directories=[directory], include_in_schema=False
    )

"""A route needs an access token unless it is marked public, and handlers get parts, not the gateway."""

import asyncio
import re
from inspect import iscoroutinefunction as is_async
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from contracts.wire.key_files import SigningKeys
from gateway.app import Provided, application
from gateway.http.authentication import AccessTokens
from gateway.http.openapi import described
from gateway.http.shutdown import Ending
from gateway.identity.login import login
from gateway.identity.passwords import Passwords
from gateway.store.pool import Pool
from gateway.store.users import User
from tests.gateway.allowing import allowing
from tests.gateway.identity.presenting import presented

# Forms that Litestar will drop in its next major version.
pytestmark = pytest.mark.filterwarnings(
    "ignore::litestar.exceptions.base_exceptions.LitestarDeprecationWarning",
    "ignore::DeprecationWarning:litestar",
)
PUBLIC = {
    "POST /api/v1/auth/register",
    "POST /api/v1/auth/login",
    "POST /api/v1/auth/refresh",
    "GET /api/v1/exchanges",
    "GET /.well-known/jwks.json",
    "GET /asyncapi.json",
    "GET /openapi.json",
    "GET /swagger-ui",
    "GET /swagger-ui/start.js",
    "GET /swagger-ui/files/{name:str}",
    "GET /healthz",
    "GET /readyz",
}
PARAMETER = re.compile(r"{\w+:\w+}")
NOT_OURS = "/api/litestar"


def serving(pool: Pool, tokens: AccessTokens) -> Litestar:
    """Return the application; parts that the test does not need are absent."""
    parts: dict[str, Any] = dict.fromkeys(Provided.__match_args__)
    return application(
        Provided(**parts | {"pool": pool, "tokens": tokens, "allowed": allowing()}), Ending(asyncio.Event())
    )


def routes(app: Litestar) -> dict[str, HTTPRouteHandler]:
    """Return every operation of the application with its handler."""
    return {
        f"{method} {route.path}": handler
        for route in app.routes
        if not route.path.startswith(NOT_OURS)
        for handler in getattr(route, "route_handlers", ())
        for method in sorted(handler.http_methods - {"OPTIONS"})
    }


@pytest.fixture(name="tokens")
def _tokens(pool: Pool) -> AccessTokens:
    return AccessTokens(SigningKeys(Ed25519PrivateKey.generate()), pool)


def test_no_request_takes_a_thread(tokens: AccessTokens, pool: Pool) -> None:
    """Litestar runs a guard in a thread unless it is a coroutine function; others where they ask for one."""
    app = serving(pool, tokens)
    for name, handler in routes(app).items():
        assert all(map(is_async, [*(handler.guards or ()), *app.guards])), name
        assert is_async(handler.fn) or not handler.sync_to_thread, name
        provided = handler.resolve_dependencies().values()
        assert [each for each in provided if each.sync_to_thread] == [], name


async def test_every_route_but_the_public_ones_wants_a_token(pool: Pool, tokens: AccessTokens) -> None:
    """The public routes are exactly these; a new route is not public because of its path."""
    app = serving(pool, tokens)
    known = routes(app)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # its scope is a typed dict

    assert {name for name, handler in known.items() if handler.opt.get("exclude_from_auth")} == PUBLIC
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        for name in sorted(set(known) - PUBLIC):
            method, path = name.split()
            answer = await client.request(method, PARAMETER.sub(str(uuid4()), path))
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), name


async def test_a_route_is_public_in_the_document_if_it_is_public(pool: Pool, tokens: AccessTokens) -> None:
    """A client made from the document sends a token exactly to the routes that want one."""
    app = serving(pool, tokens)
    document = described(app)
    told = {
        f"{method.upper()} {path}": operation.get("security", document["security"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    known = {name for name, handler in routes(app).items() if handler.include_in_schema}

    assert document["security"] == [{"BearerToken": []}]
    assert {name for name, security in told.items() if security == [{}]} == PUBLIC & known
    assert len([security for security in told.values() if security == document["security"]]) == len(
        known - PUBLIC
    )


async def test_no_part_became_a_parameter(pool: Pool, tokens: AccessTokens) -> None:
    """A handler that names a part which is not provided would read it from the query of the request."""
    paths = serving(pool, tokens).openapi_schema.to_schema()["paths"]
    parameters = {
        parameter["name"]
        for methods in paths.values()
        for operation in methods.values()
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
    }

    assert parameters == {
        *("limit", "cursor", "cause", "fresh", "currency"),
        *("from", "to", "time", "interval", "format"),
    }


async def test_a_token_opens_its_routes_until_its_session_ends(
    pool: Pool, tokens: AccessTokens, passwords: Passwords, user: User
) -> None:
    """The token is issued for a session, and the gateway reads the database at every request."""
    session = await login(pool, passwords, allowing(), presented())
    token = tokens.issue(session.user_id, session.family_id, session.now).reveal()
    transport = httpx.ASGITransport(app=serving(pool, tokens))  # type: ignore[arg-type]  # as above
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
        assert (await client.get("/api/v1/me")).json()["email"] == user.email
        await client.post("/api/v1/auth/logout")
        assert (await client.get("/api/v1/me")).status_code == 401

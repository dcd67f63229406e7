"""The service describes itself without outside resources, and reports its health."""

import re
from typing import Any

import httpx
import pytest

from contracts.wire.asyncapi import DOCUMENT
from deploy.local.stack import Stack

PAGES = ["/swagger-ui", "/swagger-ui/start.js", "/swagger-ui/files/swagger-ui.css"]


async def test_swagger_ui_needs_no_outside_address(stack: Stack) -> None:
    """The page and its resources come from the gateway; a policy restricts the browser to that."""
    async with httpx.AsyncClient(base_url=stack.api, trust_env=False) as client:
        page = (await client.get("/swagger-ui")).raise_for_status()
        loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert "'self'" in page.headers["content-security-policy"]
        assert loaded
        for path in loaded:
            assert path.startswith("/swagger-ui/")
            assert (await client.get(path)).is_success


def _body(document: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the schema of a path's request body."""
    (route,) = [each for method, each in document["paths"][path].items() if method in ("post", "put")]
    name = route["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    schema: dict[str, Any] = document["components"]["schemas"][name]
    return schema


async def test_the_openapi_document_has_every_route_of_the_issue(stack: Stack) -> None:
    """The document has each route of the API, with its problems."""
    async with httpx.AsyncClient(base_url=stack.api, trust_env=False) as client:
        document = (await client.get("/openapi.json")).raise_for_status().json()

    routes = {(method, path) for path, methods in document["paths"].items() for method in methods}
    account = "/api/v1/accounts/{account_id}"
    assert {("post", f"/api/v1/auth/{name}") for name in ("register", "login", "refresh", "logout")} <= routes
    assert {("get", account), ("patch", account), ("delete", account)} <= routes
    assert {("post", f"{account}/sync"), ("post", "/api/v1/accounts/sync-all")} <= routes
    assert {("put", f"{account}/credentials"), ("get", f"{account}/holdings")} <= routes
    assert {("put", "/api/v1/me/password"), ("post", "/api/v1/me/deletion")} <= routes
    assert {("get", "/api/v1/me/sessions"), ("delete", "/api/v1/me/sessions/{session_id}")} <= routes
    for methods in document["paths"].values():
        for route in methods.values():
            problems = [said for status, said in route["responses"].items() if status >= "4"]
            assert all(list(said["content"]) == ["application/problem+json"] for said in problems)
    for path in ("/api/v1/accounts", f"{account}/credentials"):
        listed = _body(document, path)["properties"]["credentials"]["anyOf"]
        okx = next(each for each in listed if "passphrase" in each["properties"])
        assert okx["required"] == [*okx["properties"]] == ["api_key", "api_secret", "passphrase"]
        assert all(field["writeOnly"] and field["description"] for field in okx["properties"].values())
    for path in (f"{account}/sync", "/api/v1/accounts/sync-all"):
        responses = document["paths"][path]["post"]["responses"]
        assert {"202", "429"} <= set(responses)
        assert {"RateLimit", "RateLimit-Policy"} <= set(responses["200"]["headers"])
    for name in ("login", "register"):
        assert "429" in document["paths"][f"/api/v1/auth/{name}"]["post"]["responses"]
    assert document["paths"]["/api/v1/auth/login"]["post"]["security"] == [{}]
    assert document["security"] == [{"BearerToken": []}]


async def test_the_asyncapi_document_is_for_anybody(stack: Stack) -> None:
    """The gateway serves the checked-in description of the events without a token."""
    async with httpx.AsyncClient(base_url=stack.api, trust_env=False) as client:
        answer = (await client.get("/asyncapi.json")).raise_for_status()

    assert answer.headers["content-type"] == "application/json"
    assert answer.content == DOCUMENT.read_bytes()


@pytest.mark.parametrize("service", ["gateway", "sync-worker", "vault-broker"])
async def test_every_service_says_how_it_is(stack: Stack, service: str) -> None:
    """Health, readiness and metrics have the same addresses and names in every service."""
    async with httpx.AsyncClient(base_url=stack.operations(service), trust_env=False) as client:
        assert (await client.get("/healthz")).is_success
        assert (await client.get("/readyz")).json() == {"ready": True, "not_ready": [], "degraded": []}
        metrics = (await client.get("/metrics")).text

    assert 'butler_ready{part="nats"} 1.0' in metrics


async def test_the_api_says_no_more_than_whether_it_is_ready(stack: Stack) -> None:
    """Metrics and the dependencies of a gateway are on its operations port, without the users' API."""
    async with httpx.AsyncClient(trust_env=False) as client:
        healthy, ready, metrics = [
            await client.get(f"{stack.api}/{path}") for path in ("healthz", "readyz", "metrics")
        ]
        api = await client.get(f"{stack.operations('gateway')}/api/v1/exchanges")

    assert (healthy.status_code, healthy.json()) == (200, {"healthy": True})
    assert (ready.status_code, ready.json()) == (200, {"ready": True})
    assert (metrics.status_code, metrics.json()["code"]) == (404, "not_found")
    assert api.status_code == 404


async def test_the_exchanges_describe_themselves(stack: Stack) -> None:
    """Regions, credential fields and wallets are listed without a token."""
    async with httpx.AsyncClient(base_url=stack.api, trust_env=False) as client:
        listed = (await client.get("/api/v1/exchanges")).raise_for_status().json()
    okx = next(each for each in listed if each["key"] == "okx")

    assert [region["key"] for region in okx["regions"]] == ["global", "eea", "us"]
    assert [field["key"] for field in okx["credential_fields"]] == ["api_key", "api_secret", "passphrase"]
    assert [(field["form"], field["signs"], field["secret"]) for field in okx["credential_fields"]] == [
        ("text", False, False),
        ("text", True, True),
        ("text", False, True),
    ]
    assert all(
        field["help"] and 0 < field["shortest"] <= field["longest"] for field in okx["credential_fields"]
    )
    assert [(wallet["key"], wallet["covered"]) for wallet in okx["wallets"]] == [
        ("trading", True),
        ("funding", True),
        ("earn", True),
    ]


async def test_answers_are_not_kept_or_guessed_at(stack: Stack) -> None:
    """Responses and problems carry security headers."""
    async with httpx.AsyncClient(base_url=stack.api, trust_env=False) as client:
        for path in ("/api/v1/exchanges", "/api/v1/me", "/nowhere"):
            headers = (await client.get(path)).headers
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"

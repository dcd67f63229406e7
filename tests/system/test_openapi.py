"""Any client generator can use the OpenAPI document."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from openapi_spec_validator import validate

from deploy.local.stack import Stack
from gateway.http.examples import FILE
from tests.system.described import REQUEST, bodies, faults, nodes, operations, validator

REQUESTS = {
    "Login",
    "Refresh",
    "ChangePassword",
    "DeleteMe",
    "Connect",
    "ChangeAccount",
    "ReplaceCredentials",
    "SetPrice",
    "MakeOffer",
}
PROJECT = Path(__file__).parents[2] / "pyproject.toml"
# Python and ECMA-262 differ in these: end of text, named groups, comments, flags.
PYTHON_ONLY = re.compile(r"\\[AZz]|\(\?(?:P|#|[aiLmsux-]+[:)])")
TELLING = {
    "202": {"Location", "RateLimit", "RateLimit-Policy", "Idempotency-Replayed"},
    "401": {"WWW-Authenticate"},
    "429": {"Retry-After"},
    "503": {"Retry-After"},
}
OPERATIONS = {
    "register", "login", "refresh", "logout",
    "showMe", "changeMe", "changePassword", "listSessions", "endSession", "endOtherSessions", "deleteMe",
    "listExchanges",
    "connectAccount", "listAccounts", "showAccount", "changeAccount", "deleteAccount", "replaceCredentials",
    "makeOffer", "listOffers", "showOffer", "endOffer",
    "showBalances", "showHoldings", "showPositions", "listDrift",
    "syncAccount", "syncAll", "showSync", "showBatch", "listSyncs", "listSyncDays",
    "showPortfolio", "exportPortfolio", "showPrice", "setManualPrice", "deleteManualPrice", "listCurrencies",
    "showAssetName", "joinAssets", "splitAssets",
    "showHistory", "showAccountHistory", "showAssetHistory", "showStatement", "listPortfolioChanges",
    "summarizePortfolioChanges",
}  # fmt: skip


@pytest_asyncio.fixture(name="document")
async def _document(stack: Stack) -> Any:
    async with httpx.AsyncClient(base_url=stack.api, trust_env=False) as client:
        return (await client.get("/openapi.json")).raise_for_status().json()


async def test_a_change_has_a_field(document: dict[str, Any]) -> None:
    """A body that changes nothing is refused, and the document says so."""
    changes = document["components"]["schemas"]["ChangeAccount"]

    assert changes["minProperties"] == 1
    assert changes["required"] == []


async def test_the_document_is_valid(document: dict[str, Any]) -> None:
    """It is OpenAPI 3.1 with the package's version."""
    validate(document)
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["version"] == tomllib.loads(PROJECT.read_text())["project"]["version"]


async def test_operations_are_called_as_a_person_would_call_them(document: dict[str, Any]) -> None:
    """Operation ids are an interface, because clients are generated from them. Each has a summary."""
    described = operations(document)

    assert {operation["operationId"] for operation in described.values()} == OPERATIONS
    assert all(operation["summary"] and operation["description"] for operation in described.values())
    assert all(schema["description"] for schema in document["components"]["schemas"].values())


async def test_operations_stand_in_groups_that_are_described(document: dict[str, Any]) -> None:
    """Each has one tag; both sync operations are among the accounts."""
    described = operations(document)
    told = {tag["name"] for tag in document["tags"] if tag["description"]}

    assert {tag for operation in described.values() for tag in operation["tags"]} == told
    assert {len(operation["tags"]) for operation in described.values()} == {1}
    for path in ("/api/v1/accounts/{}/sync", "/api/v1/accounts/sync-all"):
        assert described[f"POST {path}"]["tags"] == ["accounts"]


async def test_every_body_has_an_example_that_is_valid(document: dict[str, Any]) -> None:
    """Requests, responses and problems; a problem's example has the status of its place."""
    described = list(bodies(document))

    assert not [str(body) for body in described if not body.examples]
    wrong = {
        f"{body} {name}": found
        for body in described
        for name, value in body.examples.items()
        if (found := faults(document, body.schema, value))
    }
    assert not wrong
    for body in described:
        for name, value in body.examples.items():
            if body.status != REQUEST and body.status >= "4":
                assert (str(value["status"]), value["code"]) == (body.status, name)


async def test_every_member_of_an_example_is_described(document: dict[str, Any]) -> None:
    """Examples hold only members of their schemas; test_examples.py compares them with responses."""
    closed = {
        name: {**schema, "unevaluatedProperties": False} if schema.get("properties") else schema
        for name, schema in document["components"]["schemas"].items()
    }
    strict = {**document, "components": {**document["components"], "schemas": closed}}

    assert not {
        f"{body} {name}": found
        for body in bodies(document)
        for name, value in body.examples.items()
        if (found := faults(strict, body.schema, value))
    }


async def test_every_field_of_an_answer_is_required(document: dict[str, Any]) -> None:
    """Null values are sent, too; only problems may omit members, and requests fields."""
    schemas = document["components"]["schemas"]
    answers = {name: schema for name, schema in schemas.items() if name not in {*REQUESTS, "ProblemDocument"}}
    left_out = {
        name: missing
        for name, schema in answers.items()
        if (missing := set(schema.get("properties", {})) - set(schema.get("required", [])))
    }

    assert not left_out
    assert set(schemas["ReplaceCredentials"]["required"]) == {"credentials"}
    assert {"type", "title", "status", "code", "detail"} == set(schemas["ProblemDocument"]["required"])


async def test_no_example_is_left_over(document: dict[str, Any]) -> None:
    """The document uses each example of the file."""
    written = {f"{group}.{name}" for group, named in json.loads(FILE.read_text()).items() for name in named}
    shown = {str(node.get("$ref")).rpartition("/")[2] for node in nodes(document["paths"])}

    assert written | {"exportPortfolio.csv"} == document["components"]["examples"].keys()
    assert written <= shown


async def test_patterns_are_those_of_every_language(document: dict[str, Any]) -> None:
    """JSON Schema patterns are those of ECMA-262, without syntax that only Python knows."""
    patterns = [node["pattern"] for node in nodes(document) if isinstance(node.get("pattern"), str)]

    assert patterns
    assert not [pattern for pattern in patterns if PYTHON_ONLY.search(pattern)]
    for pattern in patterns:
        assert pattern.startswith("^")
        assert pattern.endswith("$")
        validator(document, {"pattern": pattern})


@pytest.mark.parametrize("pattern", [r"\A[a-z]{1,4}\Z", "(?P<name>a)", "(?i)a", "(?i:a)", "a(?#why)"])
def test_patterns_of_python_alone_are_known(pattern: str) -> None:
    """The test above would find them."""
    assert PYTHON_ONLY.search(pattern)


async def test_formats_are_named(document: dict[str, Any]) -> None:
    """Ids, times and amounts have a format, so that a client can map them to types of its language."""
    schemas = document["components"]["schemas"]
    named = {
        (name, key): described.get("format")
        for name, schema in schemas.items()
        for key, described in schema.get("properties", {}).items()
    }
    times = [each for (_, key), each in named.items() if key.endswith("_at") or key in {"as_of", "since"}]
    amounts = ["total", "available", "locked", "borrowed"]

    assert set(times) == {"date-time"}
    assert {named["AccountView", "id"], named["SyncView", "sync_id"], named["SyncPage", "next_cursor"]} == {
        "uuid"
    }
    assert {named[view, key] for view in ("AmountView", "HoldingView") for key in amounts} == {"decimal"}
    assert {named[view, "difference_usd"] for view in ("WalletView", "WalletVerdict")} == {"decimal"}


async def test_sets_of_words_stay_open(document: dict[str, Any]) -> None:
    """No schema has a closed list of words, so a state or code of a later version breaks no client."""
    schemas = document["components"]["schemas"]

    assert not [node["enum"] for node in nodes(document) if isinstance(node.get("enum"), list)]
    assert schemas["Status"]["examples"] == ["queued", "completed", "partial", "failed"]
    assert "later version" in schemas["Verdict"]["description"]


async def test_what_is_not_given_is_left_out(document: dict[str, Any]) -> None:
    """Addresses and headers have no null."""
    parameters = [
        each for operation in operations(document).values() for each in operation.get("parameters", [])
    ]

    assert {each["name"] for each in parameters} >= {"Prefer", "Idempotency-Key", "cursor", "limit"}
    assert all(isinstance(each["schema"]["type"], str) for each in parameters)


async def test_headers_that_clients_act_on_are_described(document: dict[str, Any]) -> None:
    """The address of the outcome, the time to retry, and how to sign in."""
    for operation in operations(document).values():
        for status, answer in operation["responses"].items():
            assert TELLING.get(status, set()) <= set(answer.get("headers", {}))

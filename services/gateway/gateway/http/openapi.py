"""The OpenAPI document: names of operations and groups, and details that Litestar leaves out."""

import re
from collections.abc import Iterator
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Tag

from contracts.schemas import rewritten
from gateway.http.authentication import PUBLIC
from gateway.http.examples import attach_examples
from gateway.http.export import COLUMNS

TAGS = [
    Tag("accounts", "Accounts at exchanges: connect, repair, rename, sync and delete them."),
    Tag("auth", "Sign up, sign in and out, and renew tokens."),
    Tag("balances", "The balances of an account by wallet and by asset, and how true they are."),
    Tag("exchanges", "The exchanges that can be connected, and what their keys need."),
    Tag("history", "The past of accounts: holdings, their worth, and each change."),
    Tag("me", "Your own user: the password, the sessions, and the end of it."),
    Tag("portfolio", "The worth of all accounts together, and how far it can be trusted."),
    Tag("prices", "Prices of assets in USD, where they come from, and your own."),
    Tag("syncs", "Syncs and their outcomes."),
]
NULL = {"type": "null"}
RETRY = "Seconds to wait before you send the request again"
HEADERS = {
    "401": {"WWW-Authenticate": "Bearer"},
    "429": {"Retry-After": RETRY},
    "503": {"Retry-After": RETRY},
}
LOCATION = {"Location": "Where the outcome will be: a path of this API"}


def operation_id(handler: HTTPRouteHandler, _method: Any, _path: Any) -> str:
    """Return the operation's name for client code: `syncAccount` for `sync_account`."""
    first, *others = handler.handler_name.split("_")
    return first + "".join(word.capitalize() for word in others)


def described(app: Litestar) -> dict[str, Any]:
    """Return the application's OpenAPI document, with examples of every body."""
    document: dict[str, Any] = rewritten(app.openapi_schema.to_schema(), _plain_choice)
    public = set(_public(app))
    for methods in document["paths"].values():
        for method, operation in methods.items():
            if method == "patch":
                _require_a_change(document, operation)
            operation["summary"] = re.split(r"[.:;]", operation["description"], maxsplit=1)[0]
            for parameter in operation.get("parameters", ()):
                _never_null(parameter["schema"])
            _tell_headers(operation["responses"])
            if operation["operationId"] in public:
                operation["security"] = [{}]
    attach_examples(document)
    if "/api/v1/portfolio/export" in document["paths"]:  # operators have a document of their own
        _tell_table(document)
    return document


def _public(app: Litestar) -> Iterator[str]:
    """Yield the names of the operations that need no user."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if handler.opt.items() >= PUBLIC.items():
                yield operation_id(handler, None, None)


def _plain_choice(node: dict[str, Any]) -> dict[str, Any]:
    """Write a choice between one type and null as a list of types."""
    kinds = node.get("oneOf", [])
    some = [kind for kind in kinds if kind != NULL]
    if len(some) == 1 and "type" in some[0]:
        del node["oneOf"]
        node |= some[0] | ({"type": [some[0]["type"], "null"]} if NULL in kinds else {})
    return node


def _tell_table(document: dict[str, Any]) -> None:
    """Say that the export answers CSV as well, with the same columns."""
    name = "exportPortfolio.csv"
    document["components"]["examples"][name] = {"value": ",".join(COLUMNS) + "\r\n"}
    content = document["paths"]["/api/v1/portfolio/export"]["get"]["responses"]["200"]["content"]
    content["text/csv"] = {
        "schema": {"type": "string"},
        "examples": {"empty": {"$ref": f"#/components/examples/{name}"}},
    }


def _require_a_change(document: dict[str, Any], operation: dict[str, Any]) -> None:
    """Say that a body whose fields are all optional must have one of them."""
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    document["components"]["schemas"][reference.rpartition("/")[2]]["minProperties"] = 1


def _never_null(schema: dict[str, Any]) -> None:
    """Remove null from the types of a parameter, because an address or a header can not hold null."""
    if isinstance(kinds := schema.get("type"), list):
        (schema["type"],) = [kind for kind in kinds if kind != "null"]


def _tell_headers(responses: dict[str, Any]) -> None:
    """Describe the headers of each status; a 202 has those of the 200, and Location."""
    for status, names in HEADERS.items():
        if status in responses:
            _add_headers(responses[status], names)
    if "202" in responses:
        responses["202"]["headers"] = dict(responses["200"]["headers"])
        _add_headers(responses["202"], LOCATION)


def _add_headers(response: dict[str, Any], names: dict[str, str]) -> None:
    told = {name: {"schema": {"type": "string"}, "description": words} for name, words in names.items()}
    response["headers"] = response.get("headers", {}) | told

"""The request and response bodies of the OpenAPI document, and how values are checked against them."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
from jsonschema_rs import Draft202012Validator

from tests.system.routes import PARAMETER

REQUEST = "request"


class Body(msgspec.Struct, frozen=True):
    """A body that an operation takes (`request`) or returns: its schema and its examples by name."""

    operation: str
    status: str
    schema: dict[str, Any]
    examples: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.operation} {self.status}"


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the operations by method and path, with every parameter written as `{}`."""
    return {
        f"{method.upper()} {PARAMETER.sub('{}', path)}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def bodies(document: dict[str, Any]) -> Iterator[Body]:
    """Return every body of the document, with the examples that it refers to."""
    examples = {
        f"#/components/examples/{name}": each for name, each in document["components"]["examples"].items()
    }
    for operation in operations(document).values():
        told = {REQUEST: operation.get("requestBody", {}), **operation["responses"]}
        for status, said in told.items():
            for content in said.get("content", {}).values():
                named = {name: examples[each["$ref"]]["value"] for name, each in content["examples"].items()}
                yield Body(operation["operationId"], status, content["schema"], named)


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    """Return a validator for a schema of the document, with patterns as in ECMA-262, and formats."""
    rooted = {**schema, "components": document["components"]}
    return Draft202012Validator(rooted, validate_formats=True, formats={"decimal": _is_decimal})


def faults(document: dict[str, Any], schema: dict[str, Any], value: object) -> list[str]:
    """Return the errors of a value."""
    return [
        f"{'/'.join(map(str, error.instance_path))}: {error.message}"
        for error in validator(document, schema).iter_errors(value)
    ]


def nodes(node: object) -> Iterator[dict[str, Any]]:
    """Yield every object inside a document."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from nodes(value)


def _is_decimal(text: str) -> bool:
    return format(Decimal(text), "f") == text

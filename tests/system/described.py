"""What the OpenAPI document says of the bodies of requests and answers, and how they are held against it."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
from jsonschema_rs import Draft202012Validator

from tests.system.routes import PARAMETER

REQUEST = "request"


class Body(msgspec.Struct, frozen=True):
    """What an operation takes, as status `request`, or answers: its schema and its examples by name."""

    operation: str
    status: str
    schema: dict[str, Any]
    examples: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.operation} {self.status}"


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Give the operations by their method and path, whose parameters are all written `{}`."""
    return {
        f"{method.upper()} {PARAMETER.sub('{}', path)}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def bodies(document: dict[str, Any]) -> Iterator[Body]:
    """Give every body of the document; the examples are those that it refers to."""
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
    """Give a validator for a schema of the document; it knows patterns as ECMA-262 has them, and formats."""
    rooted = {**schema, "components": document["components"]}
    return Draft202012Validator(rooted, validate_formats=True, formats={"decimal": _is_decimal})


def faults(document: dict[str, Any], schema: dict[str, Any], value: object) -> list[str]:
    """Say what is wrong with a value."""
    return [
        f"{'/'.join(map(str, error.instance_path))}: {error.message}"
        for error in validator(document, schema).iter_errors(value)
    ]


def nodes(node: object) -> Iterator[dict[str, Any]]:
    """Give every object inside a document."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from nodes(value)


def _is_decimal(text: str) -> bool:
    return format(Decimal(text), "f") == text

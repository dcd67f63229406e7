"""JSON Schemas of the messages, for readers in any language."""

from collections.abc import Callable, Iterable
from enum import Enum
from inspect import cleandoc
from typing import Any

import msgspec

from contracts.cards import Kind, schema_uri
from contracts.syncs import Cause, TotalCheck, Verdict

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# A schema must accept values of later versions, because readers handle them as the type's docstring says.
OPEN: dict[str, type[Enum]] = {kind.__name__: kind for kind in (Cause, Verdict, TotalCheck)}


def schema(kind: Kind) -> dict[str, Any]:
    """Return the schema of one message; its `$id` is the value of `ce-dataschema`."""
    return {"$schema": DIALECT, "$id": schema_uri(kind), **rewritten(msgspec.json.schema(kind), _portable)}


def schemas(kinds: Iterable[Kind], place: str) -> dict[str, Any]:
    """Return the schemas of messages and their types by name; `place` is the `$ref` to a `{name}`."""
    _, described = msgspec.json.schema_components(kinds, ref_template=place)
    portable: dict[str, Any] = rewritten(described, _portable)
    return portable


def rewritten(node: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    r"""Return a JSON document in which `change` replaced each object, inner ones before the outer.

    Patterns are written as ECMA-262 does: Python's `\A` and `\Z` are its `^` and `$`.
    """
    if isinstance(node, list):
        return [rewritten(each, change) for each in node]
    if not isinstance(node, dict):
        return node
    said = {key: rewritten(value, change) for key, value in node.items()}
    if isinstance(said.get("pattern"), str):
        said["pattern"] = said["pattern"].replace(r"\A", "^").replace(r"\Z", "$")
    return change(said)


def _portable(said: dict[str, Any]) -> dict[str, Any]:
    """Convert a schema of msgspec for readers in other languages.

    Descriptions lose their indentation, and enums that later versions may extend become texts with the known
    values.
    """
    if isinstance(said.get("description"), str):
        said["description"] = cleandoc(said["description"])
    if said.get("title") in OPEN and "enum" in said:
        said |= {"type": "string", "x-extensible-enum": said.pop("enum")}
    return said

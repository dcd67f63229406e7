"""JSON Schemas of the messages, for readers in any language."""

from collections.abc import Iterable
from enum import Enum
from inspect import cleandoc
from typing import Any

import msgspec

from contracts.cards import Kind, schema_uri
from contracts.syncs import TotalCheck, Verdict

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# A reader takes a value of a later version as the type's docstring says: a schema must not refuse it.
OPEN: dict[str, type[Enum]] = {kind.__name__: kind for kind in (Verdict, TotalCheck)}


def schema(kind: Kind) -> dict[str, Any]:
    """Describe one message, with `$id` as its messages name it in `ce-dataschema`."""
    return {"$schema": DIALECT, "$id": schema_uri(kind), **_portable(msgspec.json.schema(kind))}


def schemas(kinds: Iterable[Kind], place: str) -> dict[str, Any]:
    """Describe messages and the types inside them by name; `place` is where a `$ref` finds a `{name}`."""
    _, described = msgspec.json.schema_components(kinds, ref_template=place)
    portable: dict[str, Any] = _portable(described)
    return portable


def _portable(node: Any) -> Any:
    """Write what msgspec says as other languages read it.

    Anchors of patterns are those of ECMA-262, descriptions have no indentation, and enums that later versions
    may extend are texts with the values that are known.
    """
    if isinstance(node, list):
        return [_portable(each) for each in node]
    if not isinstance(node, dict):
        return node
    said = {key: _portable(value) for key, value in node.items()}
    if isinstance(said.get("pattern"), str):
        said["pattern"] = said["pattern"].replace(r"\A", "^").replace(r"\Z", "$")
    if isinstance(said.get("description"), str):
        said["description"] = cleandoc(said["description"])
    if said.get("title") in OPEN and "enum" in said:
        said |= {"type": "string", "x-extensible-enum": said.pop("enum")}
    return said

"""Tells whether all that one JSON Schema allows can be read by a reader of another one.

A reader ignores fields that it does not know. Only what our schemas are made of is understood here: another
keyword is reported, so that none is passed over.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

SAID_ONLY = {"$schema", "$id", "$defs", "title", "description", "default", "x-subjects", "x-card"}
UNDERSTOOD = {
    "$ref",
    "additionalProperties",
    "anyOf",
    "enum",
    "items",
    "properties",
    "required",
    "type",
    "x-extensible-enum",
}
LOWEST = ("minLength", "minItems", "minimum", "exclusiveMinimum")
HIGHEST = ("maxLength", "maxItems", "maximum", "exclusiveMaximum")
SAME = ("pattern", "format", "contentEncoding", "multipleOf")
KEYWORDS = {*SAID_ONLY, *UNDERSTOOD, *LOWEST, *HIGHEST, *SAME}


def unreadable(written: Schema, read: Schema) -> list[str]:
    """Return why a message that fits `written` may not be readable by `read`, each reason with its place."""
    return list(_unreadable(_Side(written, written), _Side(read, read), "$"))


class _Side:
    """One side of the comparison: a part of a schema, and the whole, in which references point."""

    def __init__(self, whole: Schema, part: Schema) -> None:
        self._whole = whole
        while "$ref" in part:
            part = whole["$defs"][part["$ref"].rpartition("/")[2]]
        self.part = part
        # A field that is not said to be required may be missing.
        self.required = set(part.get("required", ()))
        self.fields: Mapping[str, Schema] = part.get("properties", {})

    def at(self, part: Schema) -> "_Side":
        """Return another part of the same whole."""
        return _Side(self._whole, part)

    def choices(self) -> list["_Side"]:
        """Return what the part may be, which is one thing where there is no choice."""
        return [self.at(each) for each in self.part.get("anyOf", [self.part])]


def _unreadable(written: _Side, read: _Side, place: str) -> Iterator[str]:
    if "anyOf" in written.part or "anyOf" in read.part:
        for choice in written.choices():
            reasons = [list(_unreadable(choice, other, place)) for other in read.choices()]
            if all(reasons):
                yield from min(reasons, key=len)
        return
    for unknown in sorted({*written.part, *read.part} - KEYWORDS):
        yield f"{place}: `{unknown}` is not understood"
    yield from _values(written.part, read.part, place)
    yield from _bounds(written.part, read.part, place)
    yield from _fields(written, read, place)
    for inside in ("items", "additionalProperties"):
        if isinstance(expected := read.part.get(inside), Mapping):
            yield from _unreadable(written.at(written.part.get(inside, {})), read.at(expected), f"{place}[]")


def _values(written: Schema, read: Schema, place: str) -> Iterator[str]:
    """Compare type and values; an enum without a type is of texts."""
    kind = written.get("type", "string" if "enum" in written else "anything")
    if "type" in read and read["type"] != kind:
        yield f"{place}: {kind} is written where {read['type']} is read"
    if "enum" in read and not ("enum" in written and {*written["enum"]} <= {*read["enum"]}):
        yield f"{place}: another value than {', '.join(read['enum'])} is written"
    for word in SAME:
        if word in read and read[word] != written.get(word):
            yield f"{place}: {word} {written.get(word)} is written where {read[word]} is read"


def _bounds(written: Schema, read: Schema, place: str) -> Iterator[str]:
    for bounds, sign in ((LOWEST, 1), (HIGHEST, -1)):
        for bound in bounds:
            if bound in read and (bound not in written or sign * written[bound] < sign * read[bound]):
                yield f"{place}: more is written than {bound} {read[bound]} lets through"


def _fields(written: _Side, read: _Side, place: str) -> Iterator[str]:
    for name in sorted(read.required - written.required):
        yield f"{place}.{name}: may be missing where it is required"
    for name in sorted({*written.fields} & {*read.fields}):
        at = f"{place}.{name}"
        yield from _unreadable(written.at(written.fields[name]), read.at(read.fields[name]), at)

"""Every way to spoil a good request, derived from the request itself."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any
from uuid import uuid4

import msgspec

JSON = "application/json"
WRONG_TYPES: tuple[Any, ...] = (None, True, 1, 1.5, [], {}, ["x"])
WRONG_TEXTS = ("\0", "\ud800", "x" * 70_000)
BAD_IDS = ("x", "1", "null", "%00", "%FF", "%2E%2E", "*", "0" * 400, f"{uuid4()}0", str(uuid4())[:-1])
BAD_LIMITS = ("0", "-1", "101", "1.5", "x", "", "1" * 30, "NaN", "\0")
BAD_CURSORS = ("x", "", "null", "None", f"{{{uuid4()}}}", uuid4().hex, "\0", str(uuid4()), f"{uuid4()}0")
BAD_KEYS = ("", "x" * 129, "\xe4", "a\tb")


class Spoiled(msgspec.Struct, frozen=True):
    """A request that the gateway must refuse: its fault and its body."""

    wrong: str
    content: bytes
    content_type: str | None = JSON


def spoiled(body: dict[str, Any], optional: tuple[str, ...] = ()) -> Iterator[Spoiled]:
    """Spoil a good body as a whole and in each of its fields."""
    yield from _as_a_whole(body)
    for path in _paths(body):
        name = ".".join(path)
        for value in WRONG_TYPES:
            if not (value is None and name in optional) and type(value) is not type(_at(body, path)):
                yield Spoiled(f"{name} is {value!r}", _written(_changed(body, path, value)))
        if isinstance(_at(body, path), str):
            for value in WRONG_TEXTS:
                yield Spoiled(f"{name} is {value[:6]!r}", _written(_changed(body, path, value)))
        if name not in optional:
            yield Spoiled(f"{name} is missing", _written(_without(body, path)))
        yield Spoiled(f"{name} has a neighbour", _written(_changed(body, (*path[:-1], "unknown"), "x")))


def _as_a_whole(body: dict[str, Any]) -> Iterator[Spoiled]:
    good = _written(body)
    for content in (
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"1",
        b"{",
        b"\xff\xfe",
        b"[" * 30_000,
        good + b"}",
        good[:-1],
    ):
        yield Spoiled(f"the body is {content[:20]!r}", content)
    yield Spoiled("the body is in a list", b"[" + good + b"]")
    yield Spoiled("the body is UTF-16", json.dumps(body).encode("utf-16"))
    yield Spoiled("the body has no number", good[:-1] + b', "unknown": NaN}')
    yield Spoiled("the body is huge", good + b" " * 70_000)
    form = b"&".join(f"{name}={value}".encode() for name, value in body.items())
    yield Spoiled("the body is a form", form, "application/x-www-form-urlencoded")
    for content_type in (
        "text/plain",
        "application/xml",
        "application/jsonx",
        "multipart/form-data; boundary=x",
        None,
    ):
        yield Spoiled(f"the body is said to be {content_type}", good, content_type)


def _paths(body: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, value in body.items():
        yield (name,)
        if isinstance(value, dict):
            yield from ((name, *inner) for inner in _paths(value))


def _at(body: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        body = body[name]
    return body


def _changed(body: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    changed = deepcopy(body)
    _at(changed, path[:-1])[path[-1]] = value
    return changed


def _without(body: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    changed = deepcopy(body)
    del _at(changed, path[:-1])[path[-1]]
    return changed


def _written(body: Any) -> bytes:
    return json.dumps(body).encode()

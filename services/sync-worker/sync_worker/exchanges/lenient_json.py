"""A JSON parser that marks damaged values in place, so that damage affects only its own row. Pure."""

import json
from collections import Counter
from typing import Any

# The values of a body of 8 MiB can take twenty times its size in memory; real responses have far fewer.
MAX_VALUES = 250_000


class Number(str):
    """A number as text, with all its original digits."""

    __slots__ = ()


class Damage:
    """Replaces a value that is not valid JSON."""

    __slots__ = ()


class Doubled(Damage):
    """An object with a repeated key; `once` holds its other fields."""

    __slots__ = ("once",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        times = Counter(name for name, _ in pairs)
        self.once = {name: value for name, value in pairs if times[name] == 1}


NO_NUMBER = Damage()


def read_json(text: str) -> Any:
    """Parse a document; Damage replaces NaN, infinities and objects with a repeated key.

    Raises ValueError or RecursionError for any other text that is not valid JSON.
    """
    return json.loads(
        text,
        object_pairs_hook=_object,
        parse_constant=lambda _name: NO_NUMBER,
        parse_int=Number,
        parse_float=Number,
    )


def read_body(body: bytes) -> Any:
    """Parse a response; return None for HTML, for far too many values, and other invalid text.

    Numbers become text with all their digits.
    """
    if sum(body.count(mark) for mark in b"[{,") > MAX_VALUES:
        return None
    try:
        return read_json(body.decode())
    except (ValueError, RecursionError):
        return None


def is_whole(value: Any) -> bool:
    """Return whether a value contains no damage at any depth."""
    left = [value]
    while left:
        node = left.pop()
        if isinstance(node, Damage):
            return False
        inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        left += [each for each in inner if type(each) is not str]
    return True


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Doubled:
    document = dict(pairs)
    return document if len(document) == len(pairs) else Doubled(pairs)

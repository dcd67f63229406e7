"""A JSON parser that marks damaged values in place, so that damage affects only its own row. Pure."""

import json
from collections import Counter
from typing import Any


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

"""JSON in which damage stays where it is, so that it costs no more than the row that it is in. Pure."""

import json
from collections import Counter
from typing import Any


class Number(str):
    """A number with every digit that it came with; most readers take it as text."""

    __slots__ = ()


class Damage:
    """What stands in the place of a value that is no JSON."""

    __slots__ = ()


class Doubled(Damage):
    """An object in which a key stands twice; `once` holds its other fields."""

    __slots__ = ("once",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        times = Counter(name for name, _ in pairs)
        self.once = {name: value for name, value in pairs if times[name] == 1}


NO_NUMBER = Damage()


def read_json(text: str) -> Any:
    """Read a document, with damage in the place of NaN, of infinities and of objects with a key twice.

    Raises ValueError or RecursionError for all else that is no JSON.
    """
    return json.loads(
        text,
        object_pairs_hook=_object,
        parse_constant=lambda _name: NO_NUMBER,
        parse_int=Number,
        parse_float=Number,
    )


def is_whole(value: Any) -> bool:
    """Tell whether there is no damage in a value, however deep."""
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

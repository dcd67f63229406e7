"""Responses damaged in one field: JSON text that the exchange would never send."""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

DAMAGES = ("missing", "renamed", "doubled", "replaced")
# A placeholder for text that the JSON encoder can not write; no response contains it.
MARK = "@damage@"


def damaged(body: Any, how: str, field: str, text: str) -> str:
    """Return the JSON of a body with damage in the innermost row that has a field; `text` replaces its value.

    A doubled field has a zero as its second value, at the end of the row, which most parsers take. Raises
    LookupError if no row has the field.
    """
    document = json.loads(json.dumps(body))
    row = next((row for row in _rows(document) if field in row), None)
    if row is None:
        raise LookupError(f"the answer has no field {field}")
    if how == "doubled":
        row[field + MARK] = "0"
    elif how == "replaced":
        row[field] = MARK
    else:
        value = row.pop(field)
        row |= {field + "New": value} if how == "renamed" else {}
    written = json.dumps(document)
    return written.replace(field + MARK, field).replace(json.dumps(MARK), text)


def _rows(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every row, inner rows before the row that contains them."""
    if isinstance(node, dict | list):
        for inner in node.values() if isinstance(node, dict) else node:
            yield from _rows(inner)
    if isinstance(node, dict):
        yield node


def edited(body: Any, row: str, fields: Mapping[str, str]) -> Any:
    """Return a body with other values in the fields of each row that has the value `row`."""
    document = json.loads(json.dumps(body))
    for each in _named(document, row):
        each.update(fields)
    return document


def dropped(body: Any, row: str) -> Any:
    """Return a body without the rows in which a field is `row`; raises LookupError if no row has it."""
    document = json.loads(json.dumps(body))
    gone, rows = _named(document, row), _list_in(document)
    rows[:] = [each for each in rows if each not in gone]
    return document


def multiplied(body: Any, field: str, count: int) -> Any:
    """Return a body with `count` rows: those of the list, and copies with a number before `field`."""
    document = json.loads(json.dumps(body))
    rows = _list_in(document)
    copies = (row | {field: f"N{number}{row[field]}"} for number in range(count) for row in [*rows])
    rows += list(islice(copies, max(0, count - len(rows))))
    return document


def _list_in(document: Any) -> list[Any]:
    """Return the list of a document: itself, or the first list in it; raises LookupError without one."""
    lists = [document] if isinstance(document, list) else document.values()
    found = next((each for each in lists if isinstance(each, list)), None)
    if found is None:
        raise LookupError("the answer has no list")
    return found


def _named(document: Any, row: str) -> list[dict[str, Any]]:
    named = [each for each in _rows(document) if row in each.values()]
    if not named:
        raise LookupError(f"the answer has no row {row}")
    return named

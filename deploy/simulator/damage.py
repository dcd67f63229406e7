"""Answers that are damaged in one field: JSON text that the exchange would never write."""

import json
from collections.abc import Iterator
from typing import Any

DAMAGES = ("missing", "renamed", "doubled", "replaced")
# Stands in the text where JSON can not be written in the usual way; no answer holds it.
MARK = "@damage@"


def damaged(body: Any, how: str, field: str, text: str) -> str:
    """Write a body with damage in the innermost row that has a field; `text` is what stands in its place.

    The second of two is a zero at the end of the row: what most readers would take. Raises LookupError when
    no row has the field.
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
    """Give every row, those inside another one before it."""
    if isinstance(node, dict | list):
        for inner in node.values() if isinstance(node, dict) else node:
            yield from _rows(inner)
    if isinstance(node, dict):
        yield node

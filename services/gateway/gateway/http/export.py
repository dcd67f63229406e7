"""Exports as text: CSV of RFC 4180, and a JSON array with an object for each line."""

import csv
import io
from collections.abc import AsyncIterator, Iterable

import msgspec

from gateway.portfolio.lines import Line

COLUMNS = Line.__struct_fields__
# A chunk is short enough for a slow connection.
LINES_AT_ONCE = 200
# A spreadsheet takes a text that begins with one of these for a formula.
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
# Texts that users, or the exchanges, choose.
CHOSEN = ("account", "asset", "wallet", "exchange")


async def as_csv(parts: AsyncIterator[list[Line]]) -> AsyncIterator[str]:
    """Yield a header and a row for each line; null is an empty cell."""
    yield _rows([COLUMNS])
    async for chunk in _chunks(parts):
        yield _rows(map(_cells, chunk))


async def as_json(parts: AsyncIterator[list[Line]]) -> AsyncIterator[str]:
    """Yield an array; what ends without its bracket is not whole."""
    before = "[\n"
    async for chunk in _chunks(parts):
        yield before + ",\n".join(msgspec.json.encode(line).decode() for line in chunk)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


async def _chunks(parts: AsyncIterator[list[Line]]) -> AsyncIterator[list[Line]]:
    async for part in parts:
        for at in range(0, len(part), LINES_AT_ONCE):
            yield part[at : at + LINES_AT_ONCE]


def _cells(line: Line) -> list[str]:
    fields: dict[str, str | None] = msgspec.to_builtins(line)
    return [_cell(name, fields[name]) for name in COLUMNS]


def _cell(name: str, text: str | None) -> str:
    """Return a cell, in which no chosen text is a formula."""
    text = text or ""
    return f"'{text}" if name in CHOSEN and text.startswith(FORMULAS) else text


def _rows(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()

"""Tables of text."""

from collections.abc import Sequence

Row = Sequence[str]


def table(titles: Row, rows: Sequence[Row]) -> str:
    """Return rows as text in columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    lines = [titles, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )

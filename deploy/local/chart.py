"""The chart of a history as text."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

HEIGHT = 8
BARS: Mapping[str, str] = {"fresh": "\u2588", "stale": "\u2591"}
UNKNOWN = "?"
LEGEND = f"{BARS['fresh']} read in time, {BARS['stale']} carried on or incomplete, {UNKNOWN} unknown"


def chart_lines(points: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    """Return a bar for each point, from zero, with the dates of the first and the last one."""
    values = [None if each["total_usd"] is None else Decimal(each["total_usd"]) for each in points]
    highest = max((each for each in values if each is not None), default=Decimal(0))
    bars = [
        _bar(value, highest, BARS.get(point["state"], UNKNOWN))
        for value, point in zip(values, points, strict=True)
    ]
    rows = ["".join(bar[height] for bar in bars) for height in range(HEIGHT - 1, -1, -1)]
    label = f"{highest:,.0f} USD"
    first, last = points[0]["time"][:10], points[-1]["time"][:10]
    return [
        f"{label if number == 0 else '':>{len(label)}} |{row}".rstrip() for number, row in enumerate(rows)
    ] + [f"{'':>{len(label)}}  {first}{last:>{max(len(bars) - len(first), len(last) + 1)}}", LEGEND]


def _bar(value: Decimal | None, highest: Decimal, char: str) -> str:
    """Return the characters of a bar from the bottom up; one that is not known has a mark."""
    if value is None or highest <= 0:
        return UNKNOWN + " " * (HEIGHT - 1)
    filled = min(HEIGHT, max(1, round(HEIGHT * value / highest)))
    return char * filled + " " * (HEIGHT - filled)

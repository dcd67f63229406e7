"""The metrics and labels that a PromQL expression names, by its tokens."""

import re
from dataclasses import dataclass, field

TOKEN = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<range>\[[^]]*\])|(?P<number>\d[\w.]*)
        |(?P<word>[A-Za-z_:][\w:]*|\$\w+)|(?P<sign>=~|!~|!=|>=|<=|==|[-+*/%^(){},<>=])|(?P<space>\s+)""",
    re.VERBOSE,
)
GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
WORDS = {"and", "or", "unless", "bool", "offset"}


@dataclass
class Asked:
    """The labels of each metric's selector, and the labels by which the expression groups or joins."""

    metrics: dict[str, set[str]] = field(default_factory=dict)
    grouping: set[str] = field(default_factory=set)


class Unreadable(Exception):
    """The expression has a token that this reader does not know."""


def tokens(expression: str) -> list[str]:
    """Split an expression into words, signs, texts and numbers; raises Unreadable."""
    found, at = [], 0
    while at < len(expression):
        match = TOKEN.match(expression, at)
        if match is None:
            raise Unreadable(expression[at:])
        if match.lastgroup not in {"space", "range"}:
            found.append(match[0])
        at = match.end()
    return found


def asked(expression: str) -> Asked:
    """Return the metrics and labels of an expression; raises Unreadable."""
    found, rest = Asked(), tokens(expression)
    while rest:
        word = rest.pop(0)
        following = rest[0] if rest else ""
        if word in GROUPING:
            if following == "(":
                found.grouping |= set(_enclosed(rest, ")"))
        elif (
            re.match(r"[A-Za-z_:]", word)
            and word not in WORDS
            and following != "("
            and not _aggregates(following)
        ):
            labels = found.metrics.setdefault(word, set())
            if following == "{":
                labels |= _labels(_enclosed(rest, "}"))
    return found


def _aggregates(following: str) -> bool:
    return following in {"by", "without"}


def _enclosed(rest: list[str], end: str) -> list[str]:
    """Take the tokens up to the end of a bracket, without commas."""
    at = rest.index(end)
    inside = [token for token in rest[1:at] if token != ","]
    del rest[: at + 1]
    return inside


def _labels(matchers: list[str]) -> set[str]:
    """Return the labels of matchers, each of which is a label, a sign and a text."""
    return set(matchers[::3])

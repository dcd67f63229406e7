"""The rights of a key: the known ones of an exchange, and the names of all others in messages."""

import re
from collections.abc import Iterable

from contracts.exchanges.types import Exchange

MAX_RIGHTS = 32
# Replaces a text that is not a valid name of a right in a message; no exchange's table contains it.
UNREADABLE_RIGHT = "unreadable-right"

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def named_rights(exchange: Exchange, said: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the rights that an exchange reported, each once and at most 32, to fit a message.

    If there are more, the rights known to allow more than reading take precedence over unknown ones, and
    these over reading, so that no number of names hides a dangerous right.
    """
    names = dict.fromkeys(right if _NAME.fullmatch(right) else UNREADABLE_RIGHT for right in said)
    if len(names) <= MAX_RIGHTS:
        return tuple(names)
    return tuple(sorted(names, key=lambda right: _rank(exchange, right))[:MAX_RIGHTS])


def excess_rights(exchange: Exchange, permissions: Iterable[str]) -> tuple[str, ...]:
    """Return the rights that allow more than reading, including unknown ones, sorted."""
    return tuple(sorted(set(permissions) - exchange.read_only_permissions))


def _rank(exchange: Exchange, right: str) -> int:
    if right in exchange.further_permissions:
        return 0
    return 2 if right in exchange.read_only_permissions else 1

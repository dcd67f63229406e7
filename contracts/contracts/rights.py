"""What a key may do: the rights of an exchange that are known, and how a message names all others."""

import re
from collections.abc import Iterable

from contracts.exchanges.types import Exchange

MAX_RIGHTS = 32
# Stands for a text that no message carries as the name of a right; it is in no exchange's table.
UNREADABLE_RIGHT = "unreadable-right"

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def named_rights(exchange: Exchange, said: Iterable[str]) -> tuple[str, ...]:
    """Name the rights that an exchange told of, each once and 32 at most, so that a message carries them.

    Where there are more, rights that are known to be more than reading stay before those that are not known,
    and these before reading: no number of names hides one that matters.
    """
    names = dict.fromkeys(right if _NAME.fullmatch(right) else UNREADABLE_RIGHT for right in said)
    if len(names) <= MAX_RIGHTS:
        return tuple(names)
    return tuple(sorted(names, key=lambda right: _rank(exchange, right))[:MAX_RIGHTS])


def excess_rights(exchange: Exchange, permissions: Iterable[str]) -> tuple[str, ...]:
    """Give the rights that are more than reading, those that are not known included, in order."""
    return tuple(sorted(set(permissions) - exchange.read_only_permissions))


def _rank(exchange: Exchange, right: str) -> int:
    if right in exchange.further_permissions:
        return 0
    return 2 if right in exchange.read_only_permissions else 1

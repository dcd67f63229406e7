"""The names that users give their accounts."""

from gateway.accounts.pasted import trimmed
from gateway.errors import InvalidInput

MAX_NAME = 64


def checked_name(text: str) -> str:
    """Return a name with its ends trimmed; raises InvalidInput."""
    name = trimmed(text)
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise InvalidInput(f"The name must have 1 to {MAX_NAME} printable characters.")
    return name

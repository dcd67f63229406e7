"""Parse single values of exchanges' responses. Pure."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from contracts.values import parse_amount
from sync_worker.exchanges.lenient_json import Doubled

ZERO = Decimal(0)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# 2009-01-03: no exchange existed earlier.
MIN_TIME_MS = 1_230_940_800_000
MAX_TIME_MS = 10**14
# The format that a message allows for the id of an account.
UID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
SHAPE = "The answer does not have the documented shape."
UNREADABLE_KEY = "We can not read what the answer says of the key."
NOT_TOLD = "The answer does not say whose key it is and what it may do."


def amount_of(value: Any) -> Decimal | None:
    """Parse an amount, None if missing or empty; raises ValueError with a text that does not repeat it."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError("not a decimal amount")
    return parse_amount(value)


def amount_or_none(value: Any) -> Decimal | None:
    """Parse an amount; return None for an unreadable one, too."""
    try:
        return amount_of(value)
    except ValueError:
        return None


def time_of(value: Any) -> datetime | None:
    """Parse milliseconds since the epoch; return None for a value that cannot be a time of an account."""
    if not isinstance(value, str) or not value.isascii() or not value.isdecimal():
        return None
    # Check the length first, because parsing a number of many digits is slow.
    if len(value) > len(str(MAX_TIME_MS)) or not MIN_TIME_MS <= int(value) < MAX_TIME_MS:
        return None
    return EPOCH + timedelta(milliseconds=int(value))


def fields_of(value: Any) -> dict[str, Any]:
    """Return the fields of an object without repeated ones; empty for any other value."""
    if isinstance(value, Doubled):
        return value.once
    return value if isinstance(value, dict) else {}

"""Parse OKX's announcements of maintenance. Pure; raises UnexpectedResponse.

Source: https://www.okx.com/docs-v5/en/#status-get-status.
"""

import msgspec

from sync_worker.closures.hearing import Maintenance
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.values import MAX_TIME_MS, MIN_TIME_MS, SHAPE

# The whole trading service in production. A maintenance of batches of accounts (8) leaves others open.
TRADING, PRODUCTION, ONGOING = "5", "1", "ongoing"


class _Row(msgspec.Struct, frozen=True, rename="camel"):
    state: str = ""
    end: str = ""
    service_type: str = ""
    env: str = ""


class _Status(msgspec.Struct, frozen=True):
    data: list[_Row]


def parse_status(body: bytes) -> Maintenance | None:
    """Return the maintenance that is under way, with its latest announced end; None if there is not any."""
    try:
        rows = msgspec.json.decode(body, type=_Status).data
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise UnexpectedResponse(SHAPE) from None
    ends = [_seconds(row.end) for row in rows if _closes(row)]
    return Maintenance(max(filter(None, ends), default=None)) if ends else None


def _closes(row: _Row) -> bool:
    return (row.state, row.service_type, row.env) == (ONGOING, TRADING, PRODUCTION)


def _seconds(text: str) -> float | None:
    known = text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_TIME_MS))
    return int(text) / 1000 if known and MIN_TIME_MS <= int(text) < MAX_TIME_MS else None

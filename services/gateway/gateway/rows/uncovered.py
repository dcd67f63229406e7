"""Parts of an account that no wallet contains, and the prices by which exchanges value what they list."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from contracts.faults import CodeText
from contracts.uncovered import UncoveredEntry


class StoredPart(msgspec.Struct, frozen=True):
    """A part as it was found last at `as_of`, and the code of a later look at it that failed.

    `listed` is None if no look succeeded yet.
    """

    part: str
    name: str
    sync_number: int
    as_of: datetime | None = None
    error_code: CodeText | None = None
    listed: Any = None

    @property
    def entries(self) -> tuple[UncoveredEntry, ...] | None:
        """Return what was found; None if no look succeeded yet."""
        return None if self.listed is None else msgspec.convert(self.listed, tuple[UncoveredEntry, ...])


class QuotedList(msgspec.Struct, frozen=True):
    """The prices in USD by which an exchange values the list of a wallet of `as_of`."""

    account_id: UUID
    exchange: str
    wallet: str
    as_of: datetime
    prices: dict[str, Decimal]

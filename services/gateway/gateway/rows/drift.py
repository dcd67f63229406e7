"""The difference between a wallet's list and the exchange's own total, and a wallet's open positions."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from contracts.faults import CodeText
from contracts.positions import Position


class Drift(msgspec.Struct, frozen=True):
    """The worth of a wallet's list and the exchange's total for it in one sync, in USD; None where unknown.

    `missing` is the exchange's total less ours: negative if the list has more.
    """

    wallet: str
    sync_number: int
    at: datetime
    ours: Decimal | None = None
    theirs: Decimal | None = None
    missing: Decimal | None = None


class StoredPositions(msgspec.Struct, frozen=True):
    """The open positions of a wallet as read last at `as_of`, and the code of a later read that failed.

    `listed` is None if they were never read.
    """

    wallet: str
    sync_number: int
    as_of: datetime | None = None
    error_code: CodeText | None = None
    listed: Any = None

    @property
    def positions(self) -> tuple[Position, ...] | None:
        """Return the positions; None if they were never read."""
        return None if self.listed is None else msgspec.convert(self.listed, tuple[Position, ...])

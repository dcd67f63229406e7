"""Open positions of an account in margin, futures and options: information beside balances, never worth."""

from decimal import Decimal
from typing import Annotated

import msgspec

from contracts.values import AssetCode, check_amount

# An outcome carries at most this many positions.
MAX_POSITIONS = 500

# The exchange's names of positions and instruments, and words of it, such as `swap`, `long` or `isolated`.
PositionName = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9._-]{1,64}\Z")]
PositionWord = Annotated[str, msgspec.Meta(pattern=r"\A[a-z_]{1,16}\Z")]


class Position(msgspec.Struct, frozen=True):
    """One open position; a value that the exchange did not report is None, never zero.

    `size` is positive, in contracts, or in units of `size_currency` if that is set; `side` is `long` or
    `short`. `entry`, `mark` and `liquidation` are prices of the instrument. `unrealised` is in units of
    `currency`, and the balance of that currency includes it already.
    """

    position_id: PositionName
    instrument: PositionName
    kind: PositionWord
    side: PositionWord
    size: Decimal
    size_currency: AssetCode | None = None
    margin_mode: PositionWord | None = None
    currency: AssetCode | None = None
    entry: Decimal | None = None
    mark: Decimal | None = None
    leverage: Decimal | None = None
    liquidation: Decimal | None = None
    unrealised: Decimal | None = None

    def __post_init__(self) -> None:
        for amount in self.amounts:
            check_amount(amount)

    @property
    def amounts(self) -> tuple[Decimal, ...]:
        """Return every amount that is known."""
        told = (self.size, self.entry, self.mark, self.leverage, self.liquidation, self.unrealised)
        return tuple(amount for amount in told if amount is not None)

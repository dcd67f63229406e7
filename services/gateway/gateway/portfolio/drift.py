"""Comparing the worth of a wallet's list with the exchange's own total for it. Pure."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Context, Decimal

import msgspec

from contracts.faults import Code, fault_of
from contracts.reasons import unlisted_words
from contracts.syncs import LEFT_OUT, Totals, Verdict, WalletRead
from gateway.rows.drift import Drift, StoredPositions

EXACT = Context(prec=200)


class Tolerance(msgspec.Struct, frozen=True):
    """The difference that prices of another moment may cause: a share of the total, or some USD."""

    share: Decimal = Decimal("0.01")
    usd: Decimal = Decimal(1)


TOLERANCE = Tolerance()


def measured(read: WalletRead, number: int, at: datetime) -> Drift | None:
    """Return the comparison of a wallet in one sync; None if it was not due or the exchange told no total.

    The total of the list's own response goes before the valuation, which is of another moment. A wallet that
    could not be read has no sum of ours.
    """
    totals = read.totals
    if read.verdict in LEFT_OUT or totals is None:
        return None
    theirs = _theirs(totals)
    if theirs is None:
        return None
    missing = None if totals.listed is None else EXACT.subtract(theirs, totals.listed)
    return Drift(read.wallet, number, at, totals.listed, theirs, missing)


def with_missing_worth(read: WalletRead, tolerance: Tolerance) -> WalletRead:
    """Return a read as incomplete if the exchange's total is clearly above the worth of its list.

    An asset may be in a product that the exchange does not list, or the list may lack it. A total below the
    list is left to the worker's comparison, because it lacks nothing.
    """
    totals = read.totals
    if read.verdict is not Verdict.COMPLETE or totals is None or totals.fits:
        return read
    theirs, ours = _theirs(totals), totals.listed
    if theirs is None or ours is None:
        return read
    missing = EXACT.subtract(theirs, ours)
    if missing <= max(tolerance.usd, tolerance.share * max(abs(theirs), totals.gross or Decimal(0))):
        return read
    return msgspec.structs.replace(
        read,
        verdict=Verdict.INCOMPLETE,
        error_code=Code.UNLISTED_WORTH,
        error=f"{fault_of(Code.UNLISTED_WORTH).words} {unlisted_words(missing)}",
        difference_usd=missing,
    )


def open_positions(reads: Sequence[WalletRead], number: int) -> tuple[StoredPositions, ...]:
    """Return the positions to store of the wallets whose positions a sync has read, or tried to."""
    return tuple(
        StoredPositions(read.wallet, number, read.positions_as_of, read.positions_code, read.positions)
        for read in reads
        if read.positions is not None or read.positions_code is not None
    )


def _theirs(totals: Totals) -> Decimal | None:
    return totals.valued if totals.stated is None else totals.stated

"""Deciding whether assets missing from a wallet's list are gone or the list was short. Pure."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from contracts.syncs import WalletRead
from gateway.rows.balances import Missing

# The longest time that lists are held back, also when other assets go missing meanwhile.
LONGEST_HOLD = timedelta(hours=1)
# Tolerances, because the valuation and the list are read at different times.
VALUATION_SHARE = Decimal("0.01")
VALUATION_USD = Decimal(1)
DUST_USD = Decimal("0.01")


class Losses(msgspec.Struct, frozen=True):
    """The judgment of a list: the assets that are gone, and those that are missing, if any.

    `released` is true if lists were held back for the longest allowed time: then the list is shown, and the
    missing assets stay beside it.
    """

    gone: frozenset[str]
    missing: Missing | None
    released: bool = False


class Moment(msgspec.Struct, frozen=True):
    """The request and recording times of a sync by the database's clock; a loss counts after `patience`."""

    requested_at: datetime
    recorded_at: datetime
    patience: timedelta


def judge_losses(held: Collection[str], read: WalletRead, before: Missing | None, moment: Moment) -> Losses:
    """Decide which assets, held before with an amount, are gone or missing from a new list.

    A loss without a confirming total counts if the asset is missing again in a sync that was requested at
    least `patience` after the loss was first recorded.
    """
    named = {balance.asset for balance in read.balances or ()} | {row.asset for row in read.unreadable}
    lost = set(held) - named
    if not lost or is_confirmed(read):
        return Losses(frozenset(lost), None)
    known: Mapping[str, datetime] = before.assets if before else {}
    since = before.since if before else moment.recorded_at
    gone = {asset for asset in lost & known.keys() if moment.requested_at - known[asset] >= moment.patience}
    waiting = {asset: known.get(asset, moment.recorded_at) for asset in sorted(lost - gone)}
    if not waiting:
        return Losses(frozenset(gone), None)
    released = moment.requested_at - since >= LONGEST_HOLD
    return Losses(frozenset(gone), Missing(since, waiting), released)


def is_confirmed(read: WalletRead) -> bool:
    """Return whether a total of the exchange proves a list complete, so that missing assets are gone.

    An unnamed row with a value may be any asset, so then no total proves it.
    """
    totals = read.totals
    nameless = any(row.asset is None and not _is_dust(row.usd) for row in read.unreadable)
    if totals is None or nameless or read.unreadable_count > len(read.unreadable):
        return False
    if totals.fits and totals.stated is not None and totals.stated > 0:
        return True
    if totals.valued is None:
        return False
    empty = not read.unreadable and not any(balance.total for balance in read.balances or ())
    if totals.valued == 0 and empty:
        return True
    bound = max(VALUATION_USD, abs(totals.valued) * VALUATION_SHARE)
    return totals.listed is not None and abs(totals.valued - totals.listed) <= bound


def _is_dust(usd: Decimal | None) -> bool:
    return usd is not None and abs(usd) < DUST_USD

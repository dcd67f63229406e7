"""Assets that are gone from a wallet's list: are they gone, or was the list short? Pure."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from contracts.syncs import WalletRead

# However often other assets go missing, a list that was read is not held back for longer.
LONGEST_HOLD = timedelta(hours=1)
# Valuation and list are of different moments.
VALUATION_SHARE = Decimal("0.01")
VALUATION_USD = Decimal(1)
DUST_USD = Decimal("0.01")


class Missing(msgspec.Struct, frozen=True):
    """The assets that lists since `since` lack without a confirmation, each with when that was first seen."""

    since: datetime
    assets: dict[str, datetime]


class Losses(msgspec.Struct, frozen=True):
    """What follows for a list: the assets that are gone, and those that are missing, if any are.

    `released` says that lists were held back for as long as they may be: the list is shown, and what is
    missing from it stays beside it.
    """

    gone: frozenset[str]
    missing: Missing | None
    released: bool = False


class Moment(msgspec.Struct, frozen=True):
    """When a sync was requested and when it is recorded, by the database's clock; a loss needs `patience`."""

    requested_at: datetime
    recorded_at: datetime
    patience: timedelta


def judge_losses(held: Collection[str], read: WalletRead, before: Missing | None, moment: Moment) -> Losses:
    """Tell what a list that was read means for the assets that the wallet held with an amount.

    A loss that no total confirms counts when the asset is missing again, in a sync that was requested at
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
    """Tell whether a total of the exchange says that a list is whole, so that what it lacks is gone.

    A row without a name that is worth something may be any asset: then no total can tell.
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

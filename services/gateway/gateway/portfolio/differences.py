"""What changed between two consecutive snapshots of an account, and why. Pure."""

from collections import defaultdict
from collections.abc import Collection
from decimal import Decimal
from enum import StrEnum

import msgspec

from contracts.faults import CodeText
from gateway.portfolio.holdings import EXACT, WalletState
from gateway.portfolio.markets import ZERO
from gateway.rows.snapshots import Content, WalletPart


class Cause(StrEnum):
    """Why an amount of an account changed.

    It is `quantity` if the account holds more or less of an asset, and `coverage` if a wallet was read that
    had never been read before, so that its amounts are known now.
    """

    QUANTITY = "quantity"
    COVERAGE = "coverage"


class AssetDifference(msgspec.Struct, frozen=True):
    """A change of an asset, summed over the wallets; None means that it was not known."""

    asset: str
    cause: Cause
    old: Decimal | None
    new: Decimal


class WalletDifference(msgspec.Struct, frozen=True):
    """A change of the state or the error of a wallet; the old ones are None before the first snapshot."""

    wallet: str
    old_state: str | None
    new_state: str
    old_error: CodeText | None
    new_error: CodeText | None


class Difference(msgspec.Struct, frozen=True):
    """The changes from a snapshot to the next; both are empty if that began only after a hole."""

    assets: tuple[AssetDifference, ...]
    wallets: tuple[WalletDifference, ...]


def difference(before: Content | None, after: Content) -> Difference:
    """Return what changed from a snapshot to the next; None before the first one.

    An asset that moved between wallets did not change. What a wallet holds at its first read is no change of
    a quantity, because it may have been there before.
    """
    old = {each.wallet: each for each in before.wallets} if before else {}
    first = {
        each.wallet
        for each in after.wallets
        if each.wallet not in old or old[each.wallet].state == WalletState.NEVER_READ
    }
    assets = [*_moved(before, after, first), *_covered(before, after, first)]
    assets.sort(key=lambda each: (each.asset, each.cause))
    wallets = tuple(_wallet(old.get(each.wallet), each) for each in after.wallets)
    return Difference(tuple(assets), tuple(each for each in wallets if _has_changed(each)))


def _moved(before: Content | None, after: Content, first: Collection[str]) -> list[AssetDifference]:
    """Return the assets with another quantity in the wallets that were read before, too."""
    old, new = _sums(before, first), _sums(after, first)
    found = {asset: (old.get(asset, ZERO), new.get(asset, ZERO)) for asset in {*old, *new}}
    return [
        AssetDifference(asset, Cause.QUANTITY, was, now) for asset, (was, now) in found.items() if was != now
    ]


def _covered(before: Content | None, after: Content, first: Collection[str]) -> list[AssetDifference]:
    """Return the assets of wallets that were read for the first time."""
    known, now = _sums(before), _sums(after)
    found = {each.asset for each in after.amounts if each.wallet in first}
    return [AssetDifference(asset, Cause.COVERAGE, known.get(asset), now[asset]) for asset in found]


def _sums(content: Content | None, but: Collection[str] = ()) -> dict[str, Decimal]:
    """Return the quantities by asset, without those of some wallets."""
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for each in content.amounts if content else ():
        if each.wallet not in but:
            sums[each.asset] = EXACT.add(sums[each.asset], each.quantity)
    return sums


def _wallet(old: WalletPart | None, new: WalletPart) -> WalletDifference:
    return WalletDifference(
        new.wallet,
        None if old is None else old.state,
        new.state,
        None if old is None else old.error_code,
        new.error_code,
    )


def _has_changed(of: WalletDifference) -> bool:
    return (of.old_state, of.old_error) != (of.new_state, of.new_error)

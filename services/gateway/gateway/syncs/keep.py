"""Deciding which wallets and lists to store from what syncs read. Pure."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

from contracts.syncs import WalletRead
from gateway.portfolio.omitted import as_omitted, can_go, is_omitted, says_nothing
from gateway.portfolio.wallets import Kept as Judged
from gateway.portfolio.wallets import judge
from gateway.rows.balances import Place, Stored, StoredBalance, StoredWallet
from gateway.rows.syncs import Queued


class Kept(msgspec.Struct, frozen=True):
    """The reads as they count for each sync, the wallets to write, and the lists that have changed."""

    reads: dict[UUID, tuple[WalletRead, ...]]
    wallets: dict[Place, StoredWallet]
    lists: dict[Place, list[StoredBalance]]


def keep(stored: Stored, syncs: Sequence[tuple[Queued, tuple[WalletRead, ...]]], patience: timedelta) -> Kept:
    """Decide which wallets and lists to store, from the reads of one sync of each account."""
    judged = {
        (sync.id, place): _judged(sync, read, reads, (stored, place), patience)
        for sync, reads in syncs
        for read, place in ((read, Place(sync.account_id, read.wallet)) for read in reads)
    }
    wallets = {place: each.wallet for (_, place), each in judged.items() if each.wallet is not None}
    lists = {
        place: each.listed
        for (_, place), each in judged.items()
        if each.listed is not None and not _same(each.listed, stored.lists.get(place, []))
    }
    counted = {
        sync.id: tuple(judged[sync.id, Place(sync.account_id, read.wallet)].read for read in reads)
        for sync, reads in syncs
    }
    return Kept(counted, wallets, lists)


def _judged(
    sync: Queued,
    read: WalletRead,
    reads: Sequence[WalletRead],
    at: tuple[Stored, Place],
    patience: timedelta,
) -> Judged:
    """Decide how a sync's read changes a wallet; `reads` are the reads of all wallets of the sync."""
    stored, place = at
    before, old = stored.wallets.get(place), stored.lists.get(place, [])
    if before is not None and says_nothing(read, reads, before):
        return Judged(read)
    if not is_omitted(read):
        return judge(sync, read, before, old, patience)
    before = before or StoredWallet(read.wallet, None, None, None, None)
    if before.sync_number >= sync.number:
        return Judged(read)
    gone = can_go(sync, read, reads, old)
    return Judged(read, as_omitted(sync, read, before, gone=gone), [] if gone else None)


def _same(new: list[StoredBalance], old: list[StoredBalance]) -> bool:
    """Return whether lists have the same amounts of the same assets, in any order."""
    return len(new) == len(old) and {each.asset: each for each in new} == {each.asset: each for each in old}

"""Storing the wallets that syncs read."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from contracts.syncs import READ, WalletRead
from gateway.portfolio.wallets import judge
from gateway.rows.balances import Place
from gateway.rows.syncs import Queued
from gateway.store import balances
from gateway.store.pool import Connection


async def keep(
    connection: Connection, syncs: Sequence[tuple[Queued, tuple[WalletRead, ...]]], patience: timedelta
) -> dict[UUID, tuple[WalletRead, ...]]:
    """Store the wallets as syncs read them, and return the reads as they count for each sync.

    The accounts are locked. Rows that a later sync has written stay.
    """
    account_ids = [sync.account_id for sync, _ in syncs]
    stored = await balances.find_wallets(connection, account_ids)
    listed = any(read.verdict in READ for _, reads in syncs for read in reads)
    lists = await balances.find_balances(connection, account_ids) if listed else {}
    kept = {
        (sync.id, place): judge(sync, read, stored.get(place), lists.get(place, []), patience)
        for sync, reads in syncs
        for read, place in ((read, Place(sync.account_id, read.wallet)) for read in reads)
    }
    wallets = {place: each.wallet for (_, place), each in kept.items() if each.wallet is not None}
    new = {place: each.listed for (_, place), each in kept.items() if each.listed is not None}
    if wallets:
        await balances.write_wallets(connection, wallets)
    if new:
        await balances.replace_balances(connection, new)
    return {
        sync.id: tuple(kept[sync.id, Place(sync.account_id, read.wallet)].read for read in reads)
        for sync, reads in syncs
    }

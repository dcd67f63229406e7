"""The last reads of wallets."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from gateway.rows.balances import Place, StoredBalance, StoredWallet
from gateway.store.pool import Connection, execute, fetch_all


async def replace_balances(connection: Connection, lists: Mapping[Place, Sequence[StoredBalance]]) -> None:
    """Replace the lists of wallets."""
    rows = [(place, balance) for place, listed in lists.items() for balance in listed]
    await execute(
        connection,
        """delete from balances using unnest(%(accounts)s::uuid[], %(wallets)s::text[])
               as place (account_id, wallet)
           where balances.account_id = place.account_id and balances.wallet = place.wallet""",
        accounts=[place.account_id for place in lists],
        wallets=[place.wallet for place in lists],
    )
    await execute(
        connection,
        """insert into balances (account_id, wallet, asset, total, available, locked, borrowed, stale_as_of)
           select * from unnest(%(accounts)s::uuid[], %(wallets)s::text[], %(assets)s::text[],
               %(totals)s::numeric[], %(available)s::numeric[], %(locked)s::numeric[],
               %(borrowed)s::numeric[], %(stale)s::timestamptz[])""",
        accounts=[place.account_id for place, _ in rows],
        wallets=[place.wallet for place, _ in rows],
        assets=[balance.asset for _, balance in rows],
        totals=[balance.total for _, balance in rows],
        available=[balance.available for _, balance in rows],
        locked=[balance.locked for _, balance in rows],
        borrowed=[balance.borrowed for _, balance in rows],
        stale=[balance.stale_as_of for _, balance in rows],
    )


async def list_wallets(connection: Connection, account_id: UUID) -> list[StoredWallet]:
    """List the stored wallets of an account."""
    return list((await find_wallets(connection, [account_id])).values())


async def find_wallets(connection: Connection, account_ids: list[UUID]) -> dict[Place, StoredWallet]:
    """Find the stored wallets of accounts."""
    found = await fetch_all(
        connection,
        _PlacedWallet,
        """select account_id, wallet, as_of, total_check, error_code, error, sync_number, detail
           from account_wallets where account_id = any(%(ids)s)""",
        ids=account_ids,
    )
    return {Place(each.account_id, each.wallet): each for each in found}


async def list_balances(connection: Connection, account_id: UUID) -> list[StoredBalance]:
    """List the balances of all wallets of an account by asset."""
    found = await find_balances(connection, [account_id])
    return sorted(
        (each for listed in found.values() for each in listed), key=lambda each: (each.asset, each.wallet)
    )


async def find_balances(connection: Connection, account_ids: list[UUID]) -> dict[Place, list[StoredBalance]]:
    """Find the balances of each wallet of accounts."""
    found = await fetch_all(
        connection,
        _PlacedBalance,
        """select account_id, wallet, asset, total, available, locked, borrowed, stale_as_of from balances
           where account_id = any(%(ids)s)""",
        ids=account_ids,
    )
    lists: defaultdict[Place, list[StoredBalance]] = defaultdict(list)
    for each in found:
        lists[Place(each.account_id, each.wallet)].append(each)
    return lists


class _PlacedWallet(StoredWallet, frozen=True, kw_only=True):
    account_id: UUID


class _PlacedBalance(StoredBalance, frozen=True, kw_only=True):
    account_id: UUID

"""The last reads of wallets."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from gateway.rows.balances import Place, StoredBalance, StoredWallet
from gateway.store.pool import Connection, execute, fetch_all


async def write_wallets(connection: Connection, wallets: Mapping[Place, StoredWallet]) -> None:
    """Write wallets; rows that a later sync has written stay."""
    written = list(wallets.values())
    await execute(
        connection,
        """insert into account_wallets (account_id, wallet, as_of, total_check, sync_number, error_code,
                                        error, detail)
           select * from unnest(%(account_id)s::uuid[], %(wallet)s::text[], %(as_of)s::timestamptz[],
               %(total_check)s::text[], %(number)s::bigint[], %(error_code)s::text[], %(error)s::text[],
               %(detail)s::jsonb[])
           on conflict (account_id, wallet) do update
           set as_of = excluded.as_of, total_check = excluded.total_check, sync_number = excluded.sync_number,
               error_code = excluded.error_code, error = excluded.error, detail = excluded.detail
           where account_wallets.sync_number < excluded.sync_number""",
        account_id=[place.account_id for place in wallets],
        wallet=[place.wallet for place in wallets],
        as_of=[each.as_of for each in written],
        total_check=[each.total_check for each in written],
        number=[each.sync_number for each in written],
        error_code=[each.error_code for each in written],
        error=[each.error for each in written],
        detail=[Jsonb(msgspec.to_builtins(each.detail)) for each in written],
    )


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

"""The last reads of wallets."""

from collections.abc import Mapping, Sequence
from typing import LiteralString
from uuid import UUID

import msgspec

from gateway.rows.balances import Held, Place, StoredBalance, StoredWallet
from gateway.store.pool import Connection, execute, fetch_all, fetch_value

# The stored wallets of an account of the query, as JSON; times and amounts are text.
WALLETS_JSON: LiteralString = """coalesce((select json_agg(json_build_object(
            'wallet', wallet, 'as_of', as_of, 'total_check', total_check, 'error_code', error_code,
            'error', error, 'sync_number', sync_number, 'detail', detail))
            from account_wallets where account_id = accounts.id), '[]')"""
# Its balances by asset and wallet, ordered as Python orders texts.
BALANCES_JSON: LiteralString = """coalesce((select json_agg(json_build_object(
            'wallet', wallet, 'asset', asset, 'total', total::text, 'available', available::text,
            'locked', locked::text, 'borrowed', borrowed::text, 'in_bots', in_bots::text,
            'interest', interest::text, 'stale_as_of', stale_as_of)
            order by asset collate "C", wallet collate "C")
            from balances where account_id = accounts.id), '[]')"""


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
        """insert into balances (account_id, wallet, asset, total, available, locked, borrowed, stale_as_of,
               in_bots, interest)
           select * from unnest(%(accounts)s::uuid[], %(wallets)s::text[], %(assets)s::text[],
               %(totals)s::numeric[], %(available)s::numeric[], %(locked)s::numeric[],
               %(borrowed)s::numeric[], %(stale)s::timestamptz[], %(in_bots)s::numeric[],
               %(interest)s::numeric[])""",
        accounts=[place.account_id for place, _ in rows],
        wallets=[place.wallet for place, _ in rows],
        assets=[balance.asset for _, balance in rows],
        totals=[balance.total for _, balance in rows],
        available=[balance.available for _, balance in rows],
        locked=[balance.locked for _, balance in rows],
        borrowed=[balance.borrowed for _, balance in rows],
        stale=[balance.stale_as_of for _, balance in rows],
        in_bots=[balance.in_bots for _, balance in rows],
        interest=[balance.interest for _, balance in rows],
    )


async def list_wallets(connection: Connection, account_id: UUID) -> list[StoredWallet]:
    """List the stored wallets of an account."""
    return await fetch_all(
        connection,
        StoredWallet,
        """select wallet, as_of, total_check, error_code, error, sync_number, detail from account_wallets
           where account_id = %(id)s order by wallet""",
        id=account_id,
    )


async def find_held(connection: Connection, user_id: UUID, account_id: UUID) -> Held | None:
    """Find an account of a user with its wallets and balances, by one statement and so as of one moment."""
    found = await fetch_value(
        connection,
        f"""select json_build_object('account', to_json(accounts), 'wallets', {WALLETS_JSON},
                'balances', {BALANCES_JSON})::text
            from accounts
            where id = %(id)s and user_id = %(user_id)s and deleted_at is null""",  # noqa: S608 - constants
        id=account_id,
        user_id=user_id,
    )
    return None if found is None else msgspec.json.decode(found, type=Held)

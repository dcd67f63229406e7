"""Looking up a user's accounts, their pauses and balances, as of one moment."""

from collections.abc import Sequence
from uuid import UUID

from contracts.exchanges import EXCHANGES
from gateway.errors import NotFound, OfMaster
from gateway.portfolio.uncovered import NotCovered, not_covered
from gateway.rows.accounts import Account
from gateway.rows.balances import Held, StoredWallet
from gateway.rows.drift import Drift, StoredPositions
from gateway.rows.offers import Key
from gateway.rows.pauses import Pause, Stand
from gateway.rows.schedules import Schedule
from gateway.rows.sub_accounts import Relations
from gateway.store import accounts, balances, drift, keys, pauses, schedules, sub_accounts, uncovered
from gateway.store.pool import Connection, Pool


async def list_accounts(pool: Pool, user_id: UUID) -> list[tuple[Account, Pause | None]]:
    """List the accounts of a user, oldest first, each with its pause."""
    return await pool.single(lambda connection: pauses.find_standing(connection, user_id))


async def find_account(pool: Pool, user_id: UUID, account_id: UUID) -> tuple[Account, Stand]:
    """Find an account of a user and its pause; raises NotFound."""
    found = await pool.single(lambda connection: pauses.find_standing(connection, user_id, account_id))
    if not found:
        raise NotFound
    ((account, pause),) = found
    return account, Stand(pause)


async def find_schedules(pool: Pool, account_ids: Sequence[UUID]) -> dict[UUID, Schedule]:
    """Find the schedules of accounts."""
    return await pool.single(lambda connection: schedules.find(connection, account_ids))


async def find_not_covered(pool: Pool, listed: Sequence[Account]) -> dict[UUID, tuple[NotCovered, ...]]:
    """Find by account what exists there and is in no total."""
    exchanges = {account.id: EXCHANGES[account.exchange] for account in listed}
    found = await pool.single(lambda connection: uncovered.find_beside(connection, list(exchanges)))
    return {
        each.account_id: not_covered(exchanges[each.account_id], each.wallets, each.parts, each.listing)
        for each in found
    }


async def find_relations(pool: Pool, account_ids: Sequence[UUID]) -> dict[UUID, Relations]:
    """Find the masters of accounts, and the lists of their sub-accounts."""
    return await pool.single(lambda connection: sub_accounts.find_relations(connection, account_ids))


async def find_keys(pool: Pool, account_ids: Sequence[UUID]) -> dict[UUID, Key]:
    """Find the stored facts about the keys of accounts."""
    return await pool.single(lambda connection: keys.find(connection, account_ids))


async def require_own_key(pool: Pool, account_id: UUID) -> None:
    """Raise OfMaster for an account that the key of its master reads."""
    relations = (await find_relations(pool, [account_id])).get(account_id)
    if relations is not None and relations.child is not None:
        raise OfMaster(relations.child.parent_id)


async def find_held(pool: Pool, user_id: UUID, account_id: UUID) -> Held:
    """Find an account of a user with its wallets and its balances; raises NotFound."""
    held = await pool.single(lambda connection: balances.find_held(connection, user_id, account_id))
    if held is None:
        raise NotFound
    return held


async def find_positions(
    pool: Pool, user_id: UUID, account_id: UUID
) -> tuple[Account, list[StoredPositions], list[StoredWallet]]:
    """Find an account of a user with the open positions of its wallets, and these; raises NotFound."""
    async with pool.transaction(snapshot=True) as connection:
        account = await owned(connection, user_id, account_id)
        positions = await drift.list_positions(connection, account_id)
        return account, positions, await balances.list_wallets(connection, account_id)


async def list_drift(
    pool: Pool, user_id: UUID, account_id: UUID, before: int | None, most: int
) -> tuple[list[Drift], bool]:
    """List the comparisons of the last `most` syncs before a number, and say whether older ones exist.

    Raises NotFound.
    """
    async with pool.transaction(snapshot=True) as connection:
        await owned(connection, user_id, account_id)
        listed = await drift.list_drift(connection, account_id, before, most + 1)
    numbers = sorted({each.sync_number for each in listed}, reverse=True)
    return [each for each in listed if each.sync_number in numbers[:most]], len(numbers) > most


async def owned(connection: Connection, user_id: UUID, account_id: UUID) -> Account:
    """Find an account of a user; raises NotFound."""
    account = await accounts.find_account(connection, user_id, account_id)
    if account is None:
        raise NotFound
    return account

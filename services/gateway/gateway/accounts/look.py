"""Looking up a user's accounts, their pauses and balances, as of one moment."""

from uuid import UUID

from gateway.errors import NotFound
from gateway.rows.accounts import Account
from gateway.rows.balances import StoredBalance, StoredWallet
from gateway.rows.pauses import Pause, Stand
from gateway.store import accounts, balances, pauses
from gateway.store.pool import Connection, Pool


async def list_accounts(pool: Pool, user_id: UUID) -> list[tuple[Account, Pause | None]]:
    """List the accounts of a user, oldest first, each with its pause."""
    async with pool.transaction(snapshot=True) as connection:
        listed = await accounts.list_accounts(connection, user_id)
        paused = await pauses.find(connection, [account.id for account in listed])
    return [(account, paused.get(account.id)) for account in listed]


async def find_account(pool: Pool, user_id: UUID, account_id: UUID) -> tuple[Account, Stand]:
    """Find an account of a user and its pause; raises NotFound."""
    async with pool.transaction(snapshot=True) as connection:
        account = await owned(connection, user_id, account_id)
        stands = await pauses.find_stands(connection, [account_id])
    return account, stands[account_id]


async def find_balances(
    pool: Pool, user_id: UUID, account_id: UUID
) -> tuple[Account, list[StoredWallet], list[StoredBalance]]:
    """Find an account of a user, its wallets and its balances, as of one moment; raises NotFound."""
    async with pool.transaction(snapshot=True) as connection:
        account = await owned(connection, user_id, account_id)
        wallets = await balances.list_wallets(connection, account_id)
        return account, wallets, await balances.list_balances(connection, account_id)


async def owned(connection: Connection, user_id: UUID, account_id: UUID) -> Account:
    """Find an account of a user; raises NotFound."""
    account = await accounts.find_account(connection, user_id, account_id)
    if account is None:
        raise NotFound
    return account

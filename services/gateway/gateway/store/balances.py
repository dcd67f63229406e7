"""What was last read of each wallet."""

from datetime import datetime
from uuid import UUID

import msgspec

from contracts.faults import CodeText
from contracts.syncs import TotalCheck, WalletRead
from contracts.values import Balance
from gateway.store.pool import Connection, execute, fetch_all


class StoredWallet(msgspec.Struct, frozen=True):
    """A wallet's last good set and, when it is stale, why; `as_of` None means never read."""

    wallet: str
    as_of: datetime | None
    total_check: TotalCheck | None
    error_code: CodeText | None
    error: str | None


class StoredBalance(Balance, frozen=True, kw_only=True):
    """A balance with the wallet it lies in."""

    wallet: str


async def store_read(connection: Connection, account_id: UUID, number: int, read: WalletRead) -> None:
    """Replace a wallet's balances by those of a complete read, unless a later sync has stored its own.

    `as_of` never lies in the future, whatever a worker's clock says.
    """
    stored = await execute(
        connection,
        """insert into account_wallets (account_id, wallet, as_of, total_check, sync_number)
           values (%(account_id)s, %(wallet)s, least(%(as_of)s::timestamptz, now()), %(total_check)s,
                   %(number)s)
           on conflict (account_id, wallet) do update
           set as_of = excluded.as_of, total_check = excluded.total_check, sync_number = excluded.sync_number,
               error_code = null, error = null
           where account_wallets.sync_number < excluded.sync_number""",
        account_id=account_id,
        wallet=read.wallet,
        as_of=read.as_of,
        total_check=read.total_check,
        number=number,
    )
    if stored:
        await _replace_balances(connection, account_id, read.wallet, read.balances or ())


async def _replace_balances(
    connection: Connection, account_id: UUID, wallet: str, balances: tuple[Balance, ...]
) -> None:
    await execute(
        connection,
        "delete from balances where account_id = %(account_id)s and wallet = %(wallet)s",
        account_id=account_id,
        wallet=wallet,
    )
    await execute(
        connection,
        """insert into balances (account_id, wallet, asset, total, available, locked, borrowed)
           select %(account_id)s, %(wallet)s, * from unnest(%(assets)s::text[], %(totals)s::numeric[],
               %(available)s::numeric[], %(locked)s::numeric[], %(borrowed)s::numeric[])""",
        account_id=account_id,
        wallet=wallet,
        assets=[balance.asset for balance in balances],
        totals=[balance.total for balance in balances],
        available=[balance.available for balance in balances],
        locked=[balance.locked for balance in balances],
        borrowed=[balance.borrowed for balance in balances],
    )


async def mark_unread(connection: Connection, account_id: UUID, number: int, read: WalletRead) -> None:
    """Say why a wallet was not read and keep what is there as stale, unless a later sync was stored."""
    await execute(
        connection,
        """insert into account_wallets (account_id, wallet, sync_number, error_code, error)
           values (%(account_id)s, %(wallet)s, %(number)s, %(error_code)s, %(error)s)
           on conflict (account_id, wallet) do update
           set sync_number = excluded.sync_number, error_code = excluded.error_code, error = excluded.error
           where account_wallets.sync_number < excluded.sync_number""",
        account_id=account_id,
        wallet=read.wallet,
        number=number,
        error_code=read.error_code,
        error=read.error,
    )


async def list_wallets(connection: Connection, account_id: UUID) -> list[StoredWallet]:
    """List what is kept of each wallet."""
    return await fetch_all(
        connection,
        StoredWallet,
        "select wallet, as_of, total_check, error_code, error from account_wallets where account_id = %(id)s",
        id=account_id,
    )


async def list_balances(connection: Connection, account_id: UUID) -> list[StoredBalance]:
    """List the balances of all wallets by asset."""
    return await fetch_all(
        connection,
        StoredBalance,
        """select wallet, asset, total, available, locked, borrowed from balances
           where account_id = %(id)s order by asset, wallet""",
        id=account_id,
    )

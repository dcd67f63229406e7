"""A master account whose key lists sub-accounts, and the syncs of these."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from contracts.exchanges.okx import OKX
from contracts.syncs import (
    Rights,
    Status,
    SubAccount,
    SubAccountList,
    SyncCompleted,
    SyncOutcome,
    Verdict,
    WalletRead,
)
from contracts.values import Balance
from gateway.accounts.change import Changes, change
from gateway.accounts.delete import Deleting
from gateway.rows.accounts import Account
from gateway.rows.syncs import Sync
from gateway.store import accounts, sub_accounts
from gateway.store.pool import Pool
from gateway.syncs.record import record
from tests.gateway.conftest import opened

READ_ONLY = Rights("1", ("read_only",))
ONE, TWO = SubAccount("11", "savings1"), SubAccount("12", "trading2")


async def turned(pool: Pool, account: Account, *, on: bool, deleting: Deleting | None = None) -> None:
    """Change the setting of a master account."""
    drop = deleting.drop_sub_accounts if deleting else None
    await change(pool, account.user_id, account.id, Changes(sub_accounts=on), drop)


def wallets(*names: str, total: str = "1") -> tuple[WalletRead, ...]:
    """Return wallets that were read, each with some BTC, and the others as not covered."""
    now = datetime.now(UTC)
    return tuple(
        WalletRead(name, Verdict.COMPLETE, now, (Balance("BTC", Decimal(total)),))
        if name in names
        else WalletRead(name, Verdict.NOT_COVERED)
        for name in OKX.covered_wallets
    )


def outcome(sync: Sync, reads: tuple[WalletRead, ...], rights: Rights = READ_ONLY) -> SyncCompleted:
    """Return the outcome of a worker of the release before: it does not say whose wallets it read."""
    return SyncCompleted(sync.id, sync.account_id, "okx", Status.COMPLETED, reads, rights=rights)


async def recorded(pool: Pool, said: SyncOutcome) -> Sync:
    """Record an outcome."""
    async with pool.transaction() as connection:
        sync = await record(connection, said)
    assert sync is not None
    return sync


async def listed(pool: Pool, account: Account, listing: SubAccountList | None) -> dict[str, Account]:
    """Sync a master with a list, and return the accounts of its sub-accounts by name."""
    said = outcome(await opened(pool, account), wallets(*OKX.covered_wallets))
    await recorded(pool, msgspec.structs.replace(said, sub_accounts=listing))
    return await children(pool, account)


async def with_two(pool: Pool, account: Account) -> dict[str, Account]:
    """Turn the setting on and list two sub-accounts."""
    await turned(pool, account, on=True)
    return await listed(pool, account, SubAccountList((ONE, TWO)))


async def children(pool: Pool, account: Account) -> dict[str, Account]:
    """Return the accounts of the sub-accounts of a master by name."""
    async with pool.transaction() as connection:
        found = await sub_accounts.list_children(connection, account.id)
        rows = [await accounts.find_account(connection, account.user_id, each.account_id) for each in found]
    return {row.name: row for row in rows if row is not None}


async def synced(pool: Pool, child: Account, named: SubAccount | None, total: str = "1") -> Sync:
    """Sync a sub-account; the outcome says that the wallets are those of `named`."""
    said = outcome(await opened(pool, child), wallets(*OKX.sub_account_wallets, total=total))
    return await recorded(pool, msgspec.structs.replace(said, sub_account=named))


async def gone_since(pool: Pool, account_id: UUID) -> datetime | None:
    """Return since when a sub-account is not listed."""
    async with pool.transaction() as connection:
        child = await sub_accounts.find_child(connection, account_id)
    assert child is not None
    return child.gone_since

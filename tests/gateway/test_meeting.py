"""Transactions that meet at one account: the later one sees what the earlier one did."""

import asyncio

from deploy.local.postgres import SUPERUSER, Postgres
from gateway.store import accounts
from gateway.store.accounts import Account
from gateway.store.pool import Pool
from tests.gateway.conftest import opened
from tests.gateway.test_recording import outcome, read, recorded
from tests.waiting import until

WAITING = "select 1 from pg_stat_activity where wait_event_type = 'Lock'"


async def test_an_outcome_that_meets_a_deletion_leaves_no_numbers(
    pool: Pool, account: Account, clean_database: Postgres
) -> None:
    """The outcome waits until the account is deleted, and then keeps no balances of it."""
    said = outcome(await opened(pool, account), read("trading", "1"), read("funding", "2"))
    async with await clean_database.connect(SUPERUSER) as admin:

        async def waits() -> bool:
            return bool(await (await admin.execute(WAITING)).fetchall())

        async with pool.transaction() as deleting:
            await accounts.lock_account(deleting, account.id)
            await accounts.delete_account(deleting, account.id)
            recording = asyncio.create_task(recorded(pool, said))
            await until(waits)
        await recording

        assert await (await admin.execute("select 1 from account_wallets")).fetchall() == []


async def test_joining_a_sync_leaves_its_deadline(pool: Pool, account: Account) -> None:
    """A later request gets the open sync as it is: its grant and its message end when they did."""
    first = await opened(pool, account)

    joined = await opened(pool, account)

    assert joined == first

"""Concurrent transactions on one account: the later one sees the earlier one's changes."""

import asyncio

from deploy.local.postgres import SUPERUSER, Postgres
from gateway.rows.accounts import Account
from gateway.rows.outbox import Outgoing
from gateway.rows.syncs import Publication
from gateway.store import accounts, outbox, publications
from gateway.store.pool import Pool
from tests.gateway.conftest import opened
from tests.gateway.syncs.recorded import outcome, recorded
from tests.gateway.syncs.test_record import read
from tests.waiting import until

WAITING = "select 1 from pg_stat_activity where wait_event_type = 'Lock'"


async def test_an_outcome_that_meets_a_deletion_leaves_no_numbers(
    pool: Pool, account: Account, clean_database: Postgres
) -> None:
    """The outcome waits until the account is deleted, and then stores no balances."""
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
    """A later request joins the open sync unchanged: its grant and its message end when they did."""
    first = await opened(pool, account)

    joined = await opened(pool, account)

    assert joined == first


async def test_joining_a_sync_does_not_wait_for_its_row(pool: Pool, account: Account) -> None:
    """The relay locks the rows of several syncs in its own order: mutual waits would deadlock."""
    first = await opened(pool, account)
    async with pool.transaction() as relay:
        await relay.execute("select from syncs where id = %s for update", [first.id])

        assert (await opened(pool, account)).id == first.id


async def test_the_place_of_an_earlier_publication_says_nothing(pool: Pool, account: Account) -> None:
    """A delayed relay stores the sequence number of a request that was published again since."""
    sync = await opened(pool, account)
    async with pool.transaction() as connection:
        await connection.execute("update syncs set publications = 2")
        await publications.confirm(connection, [], {Publication(sync.id, 2): 20})
        await publications.confirm(connection, [], {Publication(sync.id, 1): 5})

        rows = await connection.execute("select request_seq from syncs")
        assert await rows.fetchall() == [(20,)]


async def test_a_request_of_a_sync_that_ended_is_not_published(pool: Pool, account: Account) -> None:
    """After an outage the workers get no requests of ended syncs."""
    sync = await opened(pool, account)
    async with pool.transaction() as connection:
        await outbox.put(connection, Outgoing(f"{sync.id}:1", "s", "SYNC_REQUESTS", {}, b"{}", sync.id))
        assert await publications.delete_requests_of_ended(connection, 10) == 0
    await recorded(pool, outcome(sync, read("trading", "1"), read("funding", "2")))

    async with pool.transaction() as connection:
        assert await publications.delete_requests_of_ended(connection, 10) == 1

"""Simultaneous outcomes are recorded together, and none of them delays another."""

import asyncio
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest
from uuid_utils.compat import uuid7

from contracts.faults import Code
from contracts.syncs import Status, SyncCompleted, SyncFailed, SyncOutcome, Verdict, WalletRead
from contracts.values import Balance
from contracts.wire.envelope import Malformed
from deploy.local.postgres import SUPERUSER, Postgres
from gateway.accounts.look import find_held
from gateway.outbox.relay import Relay
from gateway.rows.accounts import Account
from gateway.rows.syncs import Sync
from gateway.store import accounts, credentials, syncs
from gateway.store.pool import NotStorable, Pool
from gateway.syncs.record import end_unrecorded
from gateway.syncs.recorder import Recorder
from tests.gateway.conftest import opened

MANY = 120


async def another(pool: Pool, account: Account, number: int) -> Account:
    """Connect one more account of the same user."""
    credential = uuid7()
    more = msgspec.structs.replace(
        account, id=uuid7(), credential_id=credential, exchange_uid=str(1000 + number)
    )
    async with pool.transaction() as connection:
        await credentials.insert_pending(connection, credential, account.user_id, "okx")
        await credentials.set_live(connection, credential)
        return await accounts.insert_account(connection, more)


async def open_many(pool: Pool, account: Account) -> list[Sync]:
    """Open syncs of many accounts."""
    many = [account, *[await another(pool, account, number) for number in range(MANY - 1)]]
    return [await opened(pool, each) for each in many]


def failed(sync: Sync) -> SyncOutcome:
    """Return the outcome of a sync that failed as a whole."""
    return SyncFailed(sync.id, sync.account_id, "okx", Code.RATE_LIMITED, "slow down")


def completed(sync: Sync, asset: str = "BTC") -> SyncOutcome:
    """Return an outcome with one asset in each wallet."""
    wallets = tuple(
        WalletRead(name, Verdict.COMPLETE, sync.requested_at, (Balance(asset, Decimal(sync.number)),))
        for name in ("trading", "funding")
    )
    return SyncCompleted(sync.id, sync.account_id, "okx", Status.COMPLETED, wallets)


async def found(pool: Pool, sync_id: UUID) -> Sync:
    """Return a sync as it is stored."""
    async with pool.transaction() as connection:
        sync = await syncs.find(connection, sync_id)
    assert sync is not None
    return sync


async def test_many_outcomes_at_once_are_each_recorded_once(
    pool: Pool, relay: Relay, account: Account
) -> None:
    """Each sync has its own outcome and its own numbers, and a second outcome changes no row."""
    many = await open_many(pool, account)
    recorder = Recorder(pool, relay)
    said = [failed(sync) if at % 3 else completed(sync) for at, sync in enumerate(many)]

    ended = await asyncio.gather(*map(recorder.record, said))
    again = await asyncio.gather(*map(recorder.record, said))

    assert [sync.id for sync in ended if sync is not None] == [sync.id for sync in many]
    assert set(again) == {None}
    for at, sync in enumerate(many):
        status = Status.FAILED if at % 3 else Status.COMPLETED
        assert (await found(pool, sync.id)).status is status
        held = await find_held(pool, sync.user_id, sync.account_id)
        assert [each.total for each in held.balances] == ([] if at % 3 else [sync.number] * 2)


async def test_an_outcome_at_fault_holds_up_no_other(pool: Pool, relay: Relay, account: Account) -> None:
    """An outcome that cannot be stored, and one of another account, fail; the others are recorded."""
    first, second, *others = await open_many(pool, account)
    recorder = Recorder(pool, relay)
    foreign = SyncFailed(second.id, first.account_id, "okx", Code.RATE_LIMITED, "")
    unstorable = WalletRead("trading", Verdict.FAILED, error_code=Code.RATE_LIMITED, endpoint="\0")
    said = [msgspec.structs.replace(failed(first), wallets=(unstorable,)), foreign, *map(failed, others)]

    ended = await asyncio.gather(*map(recorder.record, said), return_exceptions=True)

    assert isinstance(ended[0], NotStorable)
    assert isinstance(ended[1], Malformed)
    assert all(isinstance(each, Sync) for each in ended[2:])
    assert {(await found(pool, each.id)).status for each in (first, second)} == {Status.QUEUED}


async def test_a_locked_account_holds_up_no_other(
    pool: Pool, relay: Relay, account: Account, database: Postgres
) -> None:
    """The others are recorded while one waits for its row."""
    many = await open_many(pool, account)
    recorder = Recorder(pool, relay)
    async with await database.connect(SUPERUSER) as holder, holder.transaction():
        await holder.execute("select from accounts where id = %s for update", [many[0].account_id])
        waiting = asyncio.create_task(recorder.record(failed(many[0])))
        await asyncio.gather(*(recorder.record(failed(sync)) for sync in many[1:]))
        assert not waiting.done()

    assert await waiting is not None


async def test_a_sync_ends_although_what_is_stored_of_its_account_can_not_be_read(
    pool: Pool, relay: Relay, account: Account, database: Postgres
) -> None:
    """A row that another version wrote, or a damaged one, does not prevent the recording of an outcome."""
    first = await opened(pool, account)
    await Recorder(pool, relay).record(completed(first))
    async with await database.connect(SUPERUSER) as connection:
        await connection.execute("""update account_wallets set detail = '{"number": "x", "held": 7}'""")

    second = await opened(pool, account)

    assert await Recorder(pool, relay).record(failed(second)) is not None
    assert (await found(pool, second.id)).status is Status.FAILED


async def test_a_sync_whose_wallets_can_not_be_marked_ends_all_the_same(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """When even marking the wallets fails, the terminal state is written alone."""
    sync = await opened(pool, account)
    async with await database.connect(SUPERUSER) as connection:
        await connection.execute(
            """create trigger spoiled before insert or update on account_wallets
               execute function audit_is_append_only()"""
        )
        try:
            ended = await end_unrecorded(pool, sync.id)
        finally:
            await connection.execute("drop trigger spoiled on account_wallets")

    assert ended is not None
    assert (ended.status, ended.error_code) == (Status.FAILED, Code.INTERNAL_ERROR)
    assert await end_unrecorded(pool, sync.id) is None


@pytest.mark.parametrize("setting", ["on", "off"])
async def test_a_database_that_takes_no_writes_is_lost(pool: Pool, database: Postgres, setting: str) -> None:
    """After a failover to a standby, for example: the gate before the consumers uses this check."""
    async with await database.connect(SUPERUSER) as connection:
        await connection.set_autocommit(True)
        await connection.execute(f"alter role butler_gateway set default_transaction_read_only = {setting}")
    fresh = Pool(database.url("butler_gateway"), database.password_file("butler_gateway").read_text())
    await fresh.start()
    try:
        assert await fresh.ready() is (setting == "off")
    finally:
        await fresh.stop()
        async with await database.connect(SUPERUSER) as connection:
            await connection.execute("alter role butler_gateway reset default_transaction_read_only")


async def test_a_busy_pool_is_no_lost_database(pool: Pool) -> None:
    """However many transactions wait for locks, the gateway stays in service."""
    release = asyncio.Event()

    async def hold() -> None:
        async with pool.transaction() as connection:
            await connection.execute("select 1")
            await release.wait()

    holding = [asyncio.create_task(hold()) for _ in range(16)]
    await asyncio.sleep(0)
    assert await pool.ready()
    release.set()
    await asyncio.gather(*holding)

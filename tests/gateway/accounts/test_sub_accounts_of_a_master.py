"""A pause, a new key and the end of a master are those of its sub-accounts."""

import asyncio

import msgspec
import pytest
from uuid_utils.compat import uuid7

from contracts.exchanges.okx import OKX
from contracts.syncs import Rights, Status
from deploy.backup.settle import Restored, settle
from deploy.local.postgres import SUPERUSER, Postgres
from gateway.accounts.delete import Deleting
from gateway.accounts.look import require_own_key
from gateway.accounts.pause import resume
from gateway.errors import OfMaster
from gateway.rows.accounts import Account
from gateway.store import accounts, credentials, users
from gateway.store.pool import Pool
from tests.gateway.accounts.listing import (
    ONE,
    children,
    outcome,
    recorded,
    synced,
    turned,
    wallets,
    with_two,
)
from tests.gateway.accounts.test_pause import events, paused, replaced
from tests.gateway.accounts.test_reverify import said, settled
from tests.gateway.conftest import opened
from tests.system.test_sweeper import run
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("unpublished")
STATES = "select state, id from credentials order by created_at, id"


async def test_a_pause_of_the_key_pauses_all_that_it_reads(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """A sub-account's sync that finds too many rights pauses its master, and both sub-accounts with it."""
    added = await with_two(pool, account)
    said = outcome(
        await opened(pool, added["savings1"]),
        wallets(*OKX.sub_account_wallets),
        Rights("1", ("read_only", "trade")),
    )

    sync = await recorded(pool, msgspec.structs.replace(said, sub_account=ONE))

    assert (sync.status, sync.error_code) == (Status.FAILED, "over_privileged_key")
    for each in (account, *added.values()):
        pause = await paused(pool, each)
        assert pause is not None
        assert pause.reason == "over_privileged_key"
    told = {each["account_id"] for each in await events(database, "paused")}
    assert told == {str(each.id) for each in (account, *added.values())}
    assert await run(database, "select count(*) from account_pauses where next_verify_at < 'infinity'") == [
        (1,)
    ]


async def test_the_end_of_the_pause_resumes_all(pool: Pool, account: Account, database: Postgres) -> None:
    """The verification of the master's key ends the pauses of its sub-accounts, and says so."""
    added = await with_two(pool, account)
    said = outcome(await opened(pool, account), wallets("trading"), Rights("1", ("read_only", "trade")))
    await recorded(pool, said)

    async with pool.transaction() as connection:
        await resume(connection, account)

    assert [await paused(pool, each) for each in (account, *added.values())] == [None] * 3
    told = {each["account_id"] for each in await events(database, "resumed")}
    assert told == {str(each.id) for each in (account, *added.values())}


async def test_turning_the_setting_off_deletes_the_sub_accounts_and_keeps_the_key(
    pool: Pool, account: Account, deleting: Deleting, database: Postgres
) -> None:
    """Their numbers go, an open sync gets its outcome, and the master's credential stays live."""
    child = (await with_two(pool, account))["savings1"]
    await synced(pool, child, ONE)
    await opened(pool, child)

    await turned(pool, account, on=False, deleting=deleting)

    assert await children(pool, account) == {}
    assert await run(database, "select count(*) from accounts where deleted_at is null") == [(1,)]
    assert await run(database, STATES) == [("live", account.credential_id)]
    assert await run(database, "select 1 from sub_account_lists union all select 1 from sub_accounts") == []
    failed = "select count(*) from outbox where subject = 'butler.sync.failed.okx'"
    assert await run(database, failed) == [(1,)]


async def test_a_key_of_its_own_that_comes_first_keeps_the_account(
    pool: Pool, account: Account, deleting: Deleting, database: Postgres
) -> None:
    """The deletion that waits for it looks again, and takes no key that its user has just submitted."""
    child = (await with_two(pool, account))["savings1"]
    own = uuid7()
    waits = "select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock'"

    async def waiting() -> bool:
        return await run(database, waits) == [(True,)]

    async with pool.transaction() as connection:
        await credentials.insert_stand_in(connection, own, child.user_id, child.exchange)
        await accounts.set_credential(connection, child.id, own)
        off = asyncio.create_task(turned(pool, account, on=False, deleting=deleting))
        await until(waiting)
    await off

    alive = "select id from accounts where deleted_at is null"
    assert set(await run(database, alive)) == {(account.id,), (child.id,)}
    assert await run(database, "select state from credentials where id = %s", own) == [("live",)]


async def test_deleting_the_master_deletes_its_sub_accounts(
    pool: Pool, account: Account, deleting: Deleting, database: Postgres
) -> None:
    """In the same transaction; the one key is doomed."""
    await with_two(pool, account)

    await deleting.delete(account.user_id, account.id)

    assert await run(database, "select count(*) from accounts where deleted_at is null") == [(0,)]
    assert await run(database, STATES) == [("doomed", account.credential_id)]


async def test_a_sub_account_is_not_deleted_alone(pool: Pool, account: Account, deleting: Deleting) -> None:
    """The next list would add it again; nor does it have a key that could be replaced."""
    child = (await with_two(pool, account))["savings1"]

    with pytest.raises(OfMaster) as caught:
        await deleting.delete(child.user_id, child.id)
    with pytest.raises(OfMaster):
        await require_own_key(pool, child.id)

    assert caught.value.members == {"account_id": str(account.id)}


async def test_a_user_is_deleted_with_the_sub_accounts(
    pool: Pool, account: Account, deleting: Deleting, database: Postgres
) -> None:
    """Their names and uids go, too."""
    await with_two(pool, account)
    async with pool.transaction() as connection:
        user = await users.find_by_email(connection, "me@example.com")
    assert user is not None

    await deleting.delete_user(user, None)

    assert await run(database, "select distinct name, exchange_uid from accounts") == [("", "")]
    assert await run(database, "select 1 from sub_accounts union all select 1 from sub_account_lists") == []
    assert await run(database, STATES) == [("doomed", account.credential_id)]


async def test_a_new_key_of_the_master_ends_the_stops_of_its_sub_accounts(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """Their schedules go on without a request."""
    child = (await with_two(pool, account))["savings1"]
    stop = "update schedule set stopped = 'key_rejected', next_at = null where account_id = %s"
    await run(database, stop, child.id)

    await replaced(pool, account)

    going = "select stopped is null and next_at is not null from schedule where account_id = %s"
    assert await run(database, going, child.id) == [(True,)]


async def test_sub_accounts_are_read_where_the_new_key_of_the_master_is(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """A replacement may correct the region; the rights and the hint that they show are those of that key."""
    await with_two(pool, account)
    now = msgspec.structs.replace(account, region="us", api_key_hint="new", credential_id=uuid7())
    async with pool.transaction() as connection:
        assert now.credential_id is not None
        await credentials.insert_stand_in(connection, now.credential_id, now.user_id, now.exchange)
        await accounts.replace_credential(connection, now)

    shown = "select distinct region, api_key_hint from accounts"
    assert await run(database, shown) == [("us", "new")]


async def test_a_stand_in_that_the_vault_lacks_stops_no_sub_account(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """A gateway of the release before opens a sync with it, and stops the schedule; the next sync is due."""
    child = (await with_two(pool, account))["savings1"]
    stop = "update schedule set stopped = 'credential_missing', next_at = null where account_id = %s"

    await run(database, stop, child.id)
    await run(database, stop, account.id)

    kept = "select stopped, failures, next_at between now() + '1 hour' and now() + '1 day' from schedule"
    assert await run(database, f"{kept} where account_id = %s", child.id) == [(None, 1, True)]
    assert await run(database, f"{kept} where account_id = %s", account.id) == [
        ("credential_missing", 0, None)
    ]


async def test_a_gateway_of_the_release_before_neither_reads_nor_destroys_with_the_masters_key(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """It knows the stand-in only; what it deletes or repairs is no sub-account afterwards."""
    added = await with_two(pool, account)
    assert account.credential_id is not None
    assert account.credential_id not in {each.credential_id for each in added.values()}

    async with pool.transaction() as connection:
        await accounts.delete_account(connection, added["savings1"].id)
        await accounts.set_credential(connection, added["trading2"].id, account.credential_id)

    assert await children(pool, account) == {}


async def test_sub_accounts_of_a_master_that_a_gateway_of_the_release_before_deleted_are_deleted(
    pool: Pool, account: Account, deleting: Deleting, database: Postgres
) -> None:
    """The sweep finds them, because that gateway knows of no parents."""
    await with_two(pool, account)
    async with pool.transaction() as connection:
        await accounts.delete_account(connection, account.id)

    await deleting.finish()

    assert await run(database, "select count(*) from accounts where deleted_at is null") == [(0,)]


async def test_a_restore_does_not_miss_the_key_of_a_sub_account(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """The vault never held one; the master's key is what its syncs miss."""
    await with_two(pool, account)

    async with await database.connect(SUPERUSER) as connection:
        missing = await settle(connection, Restored(None, None), [])
        await connection.rollback()

    assert missing == 1


async def test_a_secret_that_is_given_up_leaves_no_sub_account_a_key(
    pool: Pool, account: Account, deleting: Deleting, database: Postgres
) -> None:
    """They stay paused with their master, and their deletion leaves no credential but the doomed one."""
    added = await with_two(pool, account)
    trading = Rights("1", ("read_only", "trade"))
    await recorded(pool, outcome(await opened(pool, account), wallets("trading"), trading))

    await settled(pool, account, said("1", "read_only", "trade"))

    for each in (account, *added.values()):
        pause = await paused(pool, each)
        assert pause is not None
        assert pause.destroyed_at is not None
    await deleting.delete(account.user_id, account.id)
    assert await run(database, STATES) == [("doomed", account.credential_id)]

"""Deleting a user: sign-in and email address at once, then all data, however often that is interrupted."""

import asyncio
from uuid import UUID

import msgspec
import pytest
from uuid_utils.compat import uuid7

from deploy.local.postgres import Postgres
from gateway.accounts.delete import USERS_AT_ONCE, Deleting
from gateway.errors import NotFound, WrongPassword
from gateway.prices.look import set_by_hand
from gateway.rows.accounts import Account
from gateway.store import accounts, credentials, offers, users
from gateway.store.pool import Pool
from gateway.store.users import User
from tests.gateway.accounts.test_pause import READ_ONLY, recorded, synced
from tests.gateway.conftest import opened
from tests.gateway.denying import denied
from tests.gateway.identity.presenting import ADDRESS
from tests.gateway.looping import looping, told
from tests.gateway.syncs.test_recorder import failed
from tests.system.test_sweeper import run
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("unpublished")
AUDIT = """select action, address from audit where user_id = %s
           and action in ('user_deleted', 'account_deleted') order by id"""
KEPT = "select count(*) from accounts where deleted_at is null"
UNFINISHED = "select user_id from deleted_users where emptied_at is null"
READS = "select count(*) from syncs where wallets <> '[]' or holdings_count is not null"
LONG_AGO = "update deleted_users set deleted_at = deleted_at - interval '11 minutes'"
DENY = """create trigger spoiled before update on accounts for each row when (old.user_id {})
          execute function audit_is_append_only()"""


async def person(pool: Pool, account: Account) -> User:
    """Return the user of an account."""
    async with pool.transaction() as connection:
        found = await users.find_by_email(connection, "me@example.com")
    assert found is not None
    assert found.id == account.user_id
    return found


async def neighbour(pool: Pool, account: Account, email: str = "you@example.com") -> tuple[User, Account]:
    """Connect the same account of the exchange as another user."""
    user_id, credential = uuid7(), uuid7()
    theirs = msgspec.structs.replace(account, id=uuid7(), user_id=user_id, credential_id=credential)
    async with pool.transaction() as connection:
        user = await users.insert_user(connection, user_id, email, "hash of theirs")
        await credentials.insert_pending(connection, credential, user_id, "okx")
        await credentials.set_live(connection, credential)
        await accounts.insert_account(connection, theirs)
    assert user is not None
    return user, theirs


async def submitted(pool: Pool, user_id: UUID) -> UUID:
    """Begin to store a key that has no account yet."""
    credential = uuid7()
    async with pool.transaction() as connection:
        await credentials.insert_pending(connection, credential, user_id, "okx")
    return credential


async def test_a_user_goes_with_every_account_and_key(
    pool: Pool, deleting: Deleting, account: Account, database: Postgres
) -> None:
    """Numbers, uids and email address are gone at once; the audit has one row for each deletion."""
    await synced(pool, account, READ_ONLY)
    await set_by_hand(pool, account.user_id, "HOUSE", "0.25")

    await deleting.delete_user(await person(pool, account), ADDRESS)

    assert await run(database, "select 1 from balances union all select 1 from account_wallets") == []
    assert await run(database, "select 1 from manual_prices") == []
    assert await run(database, "select 1 from open_snapshots") == []
    assert await run(database, "select exchange_uid, master_uid, credential_id from accounts") == [
        ("", "", None)
    ]
    assert await run(database, "select state, destroy_at <= now() from credentials") == [("doomed", True)]
    assert await run(database, "select 1 from users where email = 'me@example.com'") == []
    assert await run(database, AUDIT, account.user_id) == [
        ("user_deleted", ADDRESS),
        ("account_deleted", None),
    ]


async def test_a_password_that_was_changed_meanwhile_deletes_nothing(
    pool: Pool, deleting: Deleting, account: Account, database: Postgres
) -> None:
    """The password that was checked is not the user's any more."""
    before = await person(pool, account)
    await run(database, "update users set password_hash = 'another'")

    with pytest.raises(WrongPassword):
        await deleting.delete_user(before, ADDRESS)

    assert await run(database, KEPT) == [(1,)]
    assert await run(database, UNFINISHED) == []
    assert await run(database, AUDIT, account.user_id) == []


async def test_a_user_is_deleted_once(
    pool: Pool, deleting: Deleting, account: Account, database: Postgres
) -> None:
    """Of two requests at once, the second finds the password gone and adds no audit row."""
    before = await person(pool, account)

    done = await asyncio.gather(
        *(deleting.delete_user(before, ADDRESS) for _ in range(2)), return_exceptions=True
    )

    assert sorted(map(type, done), key=str) == [type(None), WrongPassword]
    assert len(await run(database, AUDIT, account.user_id)) == 2


async def test_another_user_keeps_everything(
    pool: Pool, deleting: Deleting, account: Account, database: Postgres
) -> None:
    """Also one who connected the same account of the exchange."""
    theirs, kept = await neighbour(pool, account)
    await synced(pool, kept, READ_ONLY)
    pending = await submitted(pool, theirs.id)

    await deleting.delete_user(await person(pool, account), ADDRESS)

    assert await run(database, "select id, exchange_uid from accounts where deleted_at is null") == [
        (kept.id, "1")
    ]
    assert await run(database, "select count(*) from balances") == [(3,)]
    states = await run(database, "select id, state from credentials where user_id = %s", theirs.id)
    assert dict(states) == {kept.credential_id: "live", pending: "pending"}


async def test_a_key_in_flight_is_destroyed_later(
    pool: Pool, deleting: Deleting, account: Account, database: Postgres
) -> None:
    """While the broker may still be storing it, a destruction would find no credential."""
    pending = await submitted(pool, account.user_id)

    await deleting.delete_user(await person(pool, account), ADDRESS)

    rows = await run(database, "select state, destroy_at > now() from credentials where id = %s", pending)
    assert rows == [("doomed", True)]


async def test_an_interrupted_deletion_is_finished_by_another_gateway(
    pool: Pool, deleting: Deleting, account: Account, database: Postgres
) -> None:
    """The user is deleted although the accounts could not be; they follow with one audit row each."""
    await opened(pool, account)
    async with denied(database, "update", "accounts"):
        await deleting.delete_user(await person(pool, account), ADDRESS)
        assert await run(database, KEPT) == [(1,)]

    for _ in range(2):
        await deleting.finish()

    assert await run(database, KEPT) == [(0,)]
    assert [action for action, _ in await run(database, AUDIT, account.user_id)] == [
        "user_deleted",
        "account_deleted",
    ]
    assert await run(database, "select count(*) from outbox") == [(1,)]
    with pytest.raises(NotFound):
        await deleting.delete(account.user_id, account.id)


async def test_an_account_that_a_request_in_flight_adds_is_deleted_too(
    pool: Pool, deleting: Deleting, account: Account, database: Postgres
) -> None:
    """A gateway of the previous version may add one within the next minutes."""
    await deleting.delete_user(await person(pool, account), ADDRESS)
    credential = await submitted(pool, account.user_id)
    late = msgspec.structs.replace(account, id=uuid7(), credential_id=credential, exchange_uid="7")
    async with pool.transaction() as connection:
        await credentials.set_live(connection, credential)
        await accounts.insert_account(connection, late)

    await deleting.finish()

    assert await run(database, KEPT) == [(0,)]
    assert await run(database, "select 1 from accounts where exchange_uid <> ''") == []
    assert await run(database, "select distinct state from credentials") == [("doomed",)]


async def test_reads_are_forgotten_after_the_last_request_has_ended(
    pool: Pool, deleting: Deleting, account: Account, database: Postgres
) -> None:
    """Ten minutes after the deletion; then the deletion is finished, and syncs stay without their reads."""
    await synced(pool, account, READ_ONLY)
    await deleting.delete_user(await person(pool, account), ADDRESS)

    await deleting.finish()
    assert await run(database, READS) == [(1,)]
    assert await run(database, UNFINISHED) == [(account.user_id,)]

    await run(database, LONG_AGO)
    await deleting.finish()
    assert await run(database, READS) == [(0,)]
    assert await run(database, "select status from syncs") == [("completed",)]
    assert await run(database, UNFINISHED) == []


async def test_a_deletion_with_an_open_sync_is_not_finished(
    pool: Pool, deleting: Deleting, account: Account, database: Postgres
) -> None:
    """Its outcome may still bring reads."""
    sync = await opened(pool, account)
    await deleting.delete_user(await person(pool, account), ADDRESS)
    await run(database, LONG_AGO)

    await deleting.finish()
    assert await run(database, UNFINISHED) == [(account.user_id,)]

    await recorded(pool, failed(sync))
    await deleting.finish()
    assert await run(database, UNFINISHED) == []


async def test_a_user_who_can_not_be_emptied_delays_no_other(
    pool: Pool, deleting: Deleting, account: Account, database: Postgres
) -> None:
    """The one stays unfinished, and the other's accounts are deleted."""
    theirs, _ = await neighbour(pool, account)
    await run(database, DENY.format(f"= '{account.user_id}'"))
    try:
        for each in (await person(pool, account), theirs):
            await deleting.delete_user(each, ADDRESS)
        await run(database, LONG_AGO)
        await deleting.finish()
    finally:
        await run(database, "drop trigger spoiled on accounts")

    assert await run(database, "select user_id from accounts where deleted_at is null") == [
        (account.user_id,)
    ]
    assert await run(database, UNFINISHED) == [(account.user_id,)]


async def test_many_users_who_can_not_be_emptied_delay_no_other(
    pool: Pool, deleting: Deleting, account: Account, database: Postgres
) -> None:
    """Each turn continues after the users of the last one; then the failed ones are tried again."""
    failing = [await neighbour(pool, account, f"{number}@example.com") for number in range(USERS_AT_ONCE + 1)]
    theirs, _ = await neighbour(pool, account)
    async with denied(database, "update", "accounts"):
        for user in (*(user for user, _ in failing), theirs):
            await deleting.delete_user(user, ADDRESS)
    await run(database, LONG_AGO)
    await run(database, DENY.format(f"<> '{theirs.id}'"))
    try:
        for _ in range(2):
            await deleting.finish()
    finally:
        await run(database, "drop trigger spoiled on accounts")
    left = await run(database, UNFINISHED)
    assert sorted(left) == sorted((user.id,) for user, _ in failing)

    for _ in range(2):
        await deleting.finish()
    assert await run(database, UNFINISHED) == []


async def test_a_deletion_is_not_finished_while_its_last_step_fails(
    pool: Pool, deleting: Deleting, account: Account, database: Postgres
) -> None:
    """The uids and keys that this step deletes would otherwise stay for ever."""
    async with denied(database, "delete", "idempotency_keys"):
        await deleting.delete_user(await person(pool, account), ADDRESS)
        await run(database, LONG_AGO)
        await deleting.finish()
        assert await run(database, UNFINISHED) == [(account.user_id,)]

    await deleting.finish()

    assert await run(database, "select exchange_uid from accounts") == [("",)]
    assert await run(database, UNFINISHED) == []


async def test_deletions_go_on_after_the_database_was_away(
    pool: Pool, deleting: Deleting, account: Account, database: Postgres
) -> None:
    """The loop outlives the outage, and then finishes the deletion."""
    async with denied(database, "update", "accounts"):
        await deleting.delete_user(await person(pool, account), ADDRESS)

    async def deleted() -> bool:
        return await run(database, KEPT) == [(0,)]

    async with looping(deleting.run(0.05)) as events:
        async with denied(database, "select", "deleted_users"):
            await until(told(events, "deleting_waits"))
        await until(deleted)


async def test_open_key_offers_of_a_user_end(
    pool: Pool, database: Postgres, deleting: Deleting, account: Account
) -> None:
    """The keys that were born for the user are destroyed: one that no account has, and one that one has."""
    waiting, taken = uuid7(), uuid7()
    async with pool.transaction() as connection:
        for offer in (waiting, taken):
            await offers.insert(
                connection, offer, account.user_id, exchange="binance", region="global", kind="born"
            )
        assert account.credential_id is not None
        assert await offers.claim(connection, taken, account.credential_id)
        assert await offers.take(connection, taken, account.credential_id)

    await deleting.delete_user(await person(pool, account), ADDRESS)

    doomed = await run(database, "select id from credentials where state = 'doomed'")
    assert {each for (each,) in doomed} == {waiting, taken, account.credential_id}

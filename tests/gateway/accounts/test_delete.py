"""Deleting an account: its numbers and its key go at once, and its open sync gets its one outcome."""

import asyncio
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.faults import Code
from contracts.syncs import SyncFailed
from contracts.wire.envelope import decode
from deploy.local.postgres import Postgres
from gateway.accounts.delete import Deleting
from gateway.errors import NotFound
from gateway.rows.accounts import Account
from gateway.store.pool import DatabaseUnavailable, Pool
from gateway.syncs.granted import granted
from tests.gateway.accounts.test_pause import READ_ONLY, TRADING, events, synced
from tests.gateway.accounts.test_reverify import said, settled
from tests.gateway.conftest import opened
from tests.gateway.denying import denied
from tests.system.test_sweeper import run

pytestmark = pytest.mark.usefixtures("unpublished")
CREDENTIALS = "select id, state, destroy_at <= now() from credentials order by created_at"
AUDIT = "select action, user_id, subject from audit where action like 'account_%%' order by id"
LEFT = "select deleted_at is null, name, api_key_hint, credential_id from accounts"


async def test_what_was_read_and_the_key_go_with_the_account(
    pool: Pool, deleting: Deleting, account: Account, database: Postgres
) -> None:
    """Numbers, name and hint are deleted, the key is destroyed at once, and the audit has one row."""
    await synced(pool, account, READ_ONLY)
    assert len(await run(database, "select 1 from balances")) == 3

    await deleting.delete(account.user_id, account.id)

    assert await run(database, "select 1 from balances union all select 1 from account_wallets") == []
    assert await run(database, LEFT) == [(False, "", "", None)]
    assert await run(database, CREDENTIALS) == [(account.credential_id, "doomed", True)]
    assert await run(database, AUDIT) == [("account_deleted", account.user_id, account.id)]


async def test_a_second_time_is_not_found_and_changes_nothing(
    pool: Pool, deleting: Deleting, account: Account, database: Postgres
) -> None:
    """A client that repeats the request gets no second audit row and settles no sync again."""
    await opened(pool, account)
    await deleting.delete(account.user_id, account.id)

    with pytest.raises(NotFound):
        await deleting.delete(account.user_id, account.id)

    assert await run(database, AUDIT) == [("account_deleted", account.user_id, account.id)]
    assert await run(database, "select count(*) from outbox") == [(1,)]


async def test_of_two_at_once_one_deletes(
    pool: Pool, deleting: Deleting, account: Account, database: Postgres
) -> None:
    """The second waits for the first and finds no account."""
    await opened(pool, account)

    done = await asyncio.gather(
        *(deleting.delete(account.user_id, account.id) for _ in range(2)), return_exceptions=True
    )

    assert sorted(map(type, done), key=str) == [type(None), NotFound]
    assert await run(database, AUDIT) == [("account_deleted", account.user_id, account.id)]
    assert await run(database, "select count(*) from outbox") == [(1,)]


@pytest.mark.parametrize("known", [True, False])
async def test_the_account_of_another_user_is_not_found(
    deleting: Deleting, account: Account, database: Postgres, *, known: bool
) -> None:
    """It is as unknown as an account that does not exist, and keeps its key."""
    user_id, account_id = (uuid4(), account.id) if known else (account.user_id, uuid4())

    with pytest.raises(NotFound):
        await deleting.delete(user_id, account_id)

    assert await run(database, LEFT) == [(True, account.name, "8418", account.credential_id)]
    assert await run(database, CREDENTIALS) == [(account.credential_id, "live", False)]
    assert await run(database, AUDIT) == []


async def test_an_open_sync_is_settled_by_a_granted_outcome(
    pool: Pool, deleting: Deleting, grant_key: Ed25519PrivateKey, account: Account, database: Postgres
) -> None:
    """The outcome says that the account was deleted, and has the grant without which it does not count."""
    sync = await opened(pool, account)

    await deleting.delete(account.user_id, account.id)

    ((subject, body),) = await run(database, "select subject, body from outbox")
    outcome: SyncFailed = decode(bytes(body), SyncFailed)
    assert subject == "butler.sync.failed.okx"
    assert (outcome.sync_id, outcome.account_id) == (sync.id, account.id)
    assert outcome.error_code == Code.ACCOUNT_DELETED
    assert granted(outcome.grant, sync.id, grant_key.public_key()) is not None


async def test_without_an_open_sync_nothing_is_published(
    deleting: Deleting, account: Account, database: Postgres
) -> None:
    """An ended sync keeps its outcome."""
    await deleting.delete(account.user_id, account.id)

    assert await run(database, "select 1 from outbox") == []


async def test_the_pause_of_a_deleted_account_ends_silently(
    pool: Pool, deleting: Deleting, account: Account, database: Postgres
) -> None:
    """No event says that the account syncs again, and the refused key is destroyed."""
    await synced(pool, account, TRADING)

    await deleting.delete(account.user_id, account.id)

    assert await run(database, "select 1 from account_pauses") == []
    assert await events(database, "resumed") == []
    assert await run(database, CREDENTIALS) == [(account.credential_id, "doomed", True)]


async def test_a_stand_in_is_deleted_not_doomed(
    pool: Pool, deleting: Deleting, account: Account, database: Postgres
) -> None:
    """The vault does not hold the stand-in, so only the earlier credential is doomed."""
    await synced(pool, account, TRADING)
    await settled(pool, account, said("1", "trade"))
    assert len(await run(database, CREDENTIALS)) == 2

    await deleting.delete(account.user_id, account.id)

    assert await run(database, CREDENTIALS) == [(account.credential_id, "doomed", True)]


async def test_a_deletion_that_fails_changes_nothing(
    pool: Pool, deleting: Deleting, account: Account, database: Postgres
) -> None:
    """Without its audit row an account is not deleted, and the next try deletes it."""
    await opened(pool, account)
    async with denied(database, "insert", "audit"):
        with pytest.raises(DatabaseUnavailable):
            await deleting.delete(account.user_id, account.id)

    assert await run(database, LEFT) == [(True, account.name, "8418", account.credential_id)]
    assert await run(database, "select 1 from outbox") == []
    await deleting.delete(account.user_id, account.id)
    assert await run(database, AUDIT) == [("account_deleted", account.user_id, account.id)]

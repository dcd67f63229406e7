"""An account has one open sync, with its request in the outbox, and a paused account has none."""

from uuid import UUID

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from uuid_utils.compat import uuid7

from contracts.faults import Code
from contracts.syncs import Status, SyncRequested
from contracts.wire.envelope import decode
from contracts.wire.grants import granted_credential
from deploy.local.postgres import Postgres
from gateway.errors import AccountPaused, ExchangePaused, NotFound
from gateway.rows.accounts import Account
from gateway.rows.pauses import Begun
from gateway.rows.syncs import Sync
from gateway.store import accounts, paused_exchanges, pauses
from gateway.store.pool import Pool
from gateway.syncs.open import Opened, Terms, open_all, open_one
from tests.gateway.syncs.test_recorder import another
from tests.system.test_sweeper import run

pytestmark = pytest.mark.usefixtures("unpublished")
TERMS = Terms(Ed25519PrivateKey.generate(), 120)


async def opened(pool: Pool, account_id: UUID, sync_id: UUID | None = None) -> Sync:
    """Open a sync as a schedule does, without quota and idempotency key."""
    async with pool.transaction() as connection:
        return await open_one(connection, TERMS, account_id, sync_id or uuid7())


async def opened_all(pool: Pool, user_id: UUID) -> Opened:
    """Open a sync of every account."""
    async with pool.transaction() as connection:
        return await open_all(connection, TERMS, user_id)


async def pause(pool: Pool, account: Account) -> None:
    """Pause an account."""
    assert account.credential_id is not None
    async with pool.transaction() as connection:
        await pauses.begin(
            connection, [Begun(account.id, account.credential_id, Code.UNKNOWN_RIGHT, ("lend",))], 3600
        )


async def test_a_sync_is_opened_with_its_request_and_its_audit(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """The request names the credential, grants its reads until the deadline, and no limit counts it."""
    sync_id = uuid7()

    sync = await opened(pool, account.id, sync_id)

    ((body,),) = await run(database, "select body from outbox")
    request: SyncRequested = decode(bytes(body), SyncRequested)
    assert (sync.id, sync.status) == (sync_id, Status.QUEUED)
    assert (request.sync_id, request.credential_id) == (sync_id, account.credential_id)
    assert request.deadline == sync.deadline
    assert request.grant is not None
    assert granted_credential(request.grant) == account.credential_id
    assert await run(database, "select action, subject from audit") == [("sync_requested", sync_id)]
    assert await run(database, "select 1 from rate_limits") == []


async def test_a_second_one_joins_the_first(pool: Pool, account: Account, database: Postgres) -> None:
    """There is one open sync per account, and one request."""
    first, second = await opened(pool, account.id), await opened(pool, account.id)

    assert first.id == second.id
    assert await run(database, "select count(*) from outbox") == [(1,)]


async def test_a_paused_account_is_not_synced(pool: Pool, account: Account, database: Postgres) -> None:
    """The error has the reason and its remedy; no row is written."""
    await pause(pool, account)

    with pytest.raises(AccountPaused) as caught:
        await opened(pool, account.id)

    assert caught.value.members["reason"] == Code.UNKNOWN_RIGHT
    assert await run(database, "select 1 from syncs") == []
    assert await run(database, "select 1 from outbox where subject like 'butler.sync.%%'") == []


@pytest.mark.parametrize("known", [True, False])
async def test_what_is_deleted_or_unknown_is_not_found(pool: Pool, account: Account, *, known: bool) -> None:
    """A user may delete an account between two polls of a schedule."""
    async with pool.transaction() as connection:
        await accounts.delete_account(connection, account.id)

    with pytest.raises(NotFound):
        await opened(pool, account.id if known else uuid7())


async def test_all_accounts_are_opened_and_a_paused_one_fails_at_once(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """It has an outcome like any other, for the reason of the pause, and no request."""
    other = await another(pool, account, 7)
    await pause(pool, other)

    all_of_them = await opened_all(pool, account.user_id)

    assert {sync.account_id for sync in all_of_them.syncs} == {account.id, other.id}
    (refused,) = all_of_them.refused
    assert (refused.account_id, refused.status) == (other.id, Status.FAILED)
    assert refused.error_code == Code.UNKNOWN_RIGHT
    requested = "select sync_id from outbox where subject like 'butler.sync.requested.%%'"
    assert len(await run(database, requested)) == 1


async def test_all_leave_out_those_of_an_exchange_that_an_operator_paused(
    pool: Pool, account: Account
) -> None:
    """They get no sync, and the others are opened; without others the pause is the answer."""
    other = await another(pool, msgspec.structs.replace(account, exchange="moon"), 7)
    async with pool.transaction() as connection:
        await paused_exchanges.pause(connection, other.exchange)

    all_of_them = await opened_all(pool, account.user_id)

    assert [sync.account_id for sync in all_of_them.syncs] == [account.id]
    async with pool.transaction() as connection:
        await accounts.delete_account(connection, account.id)
    with pytest.raises(ExchangePaused):
        await opened_all(pool, account.user_id)


async def test_all_of_a_user_without_accounts_are_none(pool: Pool) -> None:
    """That is not an error."""
    assert await opened_all(pool, uuid7()) == Opened([], [])

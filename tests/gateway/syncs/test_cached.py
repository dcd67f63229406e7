"""A sync that has completed a moment ago answers the next request, and nothing else does."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.local.nats import Nats
from deploy.local.postgres import Postgres
from gateway.errors import AccountPaused, ExchangePaused
from gateway.outbox.relay import Relay
from gateway.rows.accounts import Account
from gateway.rows.syncs import Sync
from gateway.store.pool import Pool
from gateway.syncs.open import Terms
from gateway.syncs.requests import Asking, Idempotency, Requests
from tests.gateway.accounts.test_pause import READ_ONLY, becoming_live, replaced, synced
from tests.gateway.allowing import allowing
from tests.gateway.conftest import announcing, opened
from tests.gateway.syncs.recorded import recorded
from tests.gateway.syncs.test_recorder import failed
from tests.joining import bus_of
from tests.system.test_sweeper import run

pytestmark = pytest.mark.usefixtures("unpublished")
TERMS = Terms(Ed25519PrivateKey.generate(), 120, cache_seconds=60)
USED = "select policy, used from rate_limits order by policy"


@pytest.fixture(name="requests")
def _requests(pool: Pool, nats: Nats) -> Requests:
    """Return the part that accepts requests, with a cache of a minute."""
    bus = bus_of(nats, "gateway")
    return Requests(pool, Relay(pool, bus), announcing(pool, bus), TERMS, allowing())


@pytest.fixture(name="asking")
def _asking(account: Account) -> Asking:
    return Asking(account.user_id, "203.0.113.7")


async def completed(pool: Pool, account: Account) -> Sync:
    """Sync an account."""
    return await synced(pool, account, READ_ONLY)


async def test_a_completed_sync_answers_and_the_request_counts(
    pool: Pool, account: Account, requests: Requests, asking: Asking, database: Postgres
) -> None:
    """No sync is opened; user and address are counted as for any request."""
    sync = await completed(pool, account)

    accepted = await requests.one(asking, account.id)

    assert (accepted.target_id, accepted.cached, accepted.opened) == (sync.id, True, False)
    assert await run(database, "select count(*) from syncs") == [(1,)]
    assert await run(database, USED) == [("address", 1), ("sync", 1)]


async def test_an_idempotency_key_stands_for_the_sync_that_answered(
    pool: Pool, account: Account, requests: Requests, database: Postgres
) -> None:
    """A repeat gets the same sync also after its time."""
    sync = await completed(pool, account)
    asking = Asking(account.user_id, "203.0.113.7", Idempotency("k", "POST /sync"))

    first = await requests.one(asking, account.id)
    await run(database, "update syncs set finished_at = now() - interval '1 hour'")
    again = await requests.one(asking, account.id)

    assert (first.target_id, first.cached, first.replayed) == (sync.id, True, False)
    assert (again.target_id, again.cached, again.replayed) == (sync.id, False, True)


async def test_a_fresh_request_and_one_after_the_time_read_anew(
    pool: Pool, account: Account, requests: Requests, asking: Asking, database: Postgres
) -> None:
    """The first is a wish of the user, and the other finds the sync too old."""
    sync = await completed(pool, account)

    fresh = await requests.one(Asking(asking.user_id, asking.address, fresh=True), account.id)
    assert (fresh.target_id != sync.id, fresh.opened, fresh.cached) == (True, True, False)

    await run(database, "update syncs set status = 'completed', finished_at = now() - interval '61 seconds'")
    assert (await requests.one(asking, account.id)).opened


async def test_a_sync_that_failed_since_is_read_anew(
    pool: Pool, account: Account, requests: Requests, asking: Asking
) -> None:
    """Only the newest sync answers, so a failure is never hidden by an older success."""
    await completed(pool, account)
    await recorded(pool, failed(await opened(pool, account)))

    assert (await requests.one(asking, account.id)).opened


@pytest.mark.parametrize("status", ["partial", "failed"])
async def test_what_is_not_complete_is_read_anew(
    pool: Pool, account: Account, requests: Requests, asking: Asking, database: Postgres, status: str
) -> None:
    """The next try may read what is missing."""
    await completed(pool, account)
    await run(database, "update syncs set status = %s", status)

    assert (await requests.one(asking, account.id)).opened


async def test_a_sync_of_the_key_before_is_read_anew(
    pool: Pool, account: Account, requests: Requests, asking: Asking
) -> None:
    """The user wants to see that the new key works."""
    await completed(pool, account)
    await replaced(pool, account)

    assert (await requests.one(asking, account.id)).opened


async def test_a_sync_while_the_new_key_was_verified_is_read_anew(
    pool: Pool, account: Account, requests: Requests, asking: Asking
) -> None:
    """It was made with the key before, although the new credential was there already."""
    async with becoming_live(pool, account):
        await completed(pool, account)

    assert (await requests.one(asking, account.id)).opened


async def test_an_end_in_the_future_answers_nothing(
    pool: Pool, account: Account, requests: Requests, asking: Asking, database: Postgres
) -> None:
    """The database's clock was set back: the sync would answer until that time."""
    await completed(pool, account)
    await run(database, "update syncs set finished_at = now() + interval '1 hour'")

    assert (await requests.one(asking, account.id)).opened


async def test_a_paused_account_and_exchange_are_refused_as_ever(
    pool: Pool, account: Account, requests: Requests, asking: Asking, database: Postgres
) -> None:
    """A sync of a moment before the pause does not hide it."""
    await completed(pool, account)
    await run(database, "insert into paused_exchanges (exchange) values ('okx')")
    with pytest.raises(ExchangePaused):
        await requests.one(asking, account.id)
    await run(database, "delete from paused_exchanges")
    await run(
        database,
        """insert into account_pauses (account_id, credential_id, reason, next_verify_at)
           select id, credential_id, 'unknown_right', now() from accounts""",
    )

    with pytest.raises(AccountPaused):
        await requests.one(asking, account.id)


async def test_an_open_sync_is_joined_as_ever(
    pool: Pool, account: Account, requests: Requests, asking: Asking
) -> None:
    """It will be newer than the completed one."""
    await completed(pool, account)
    sync = await opened(pool, account)

    joined = await requests.one(asking, account.id)

    assert (joined.target_id, joined.cached) == (sync.id, False)

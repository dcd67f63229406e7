"""Sync requests: limited per user, one per idempotency key, and a refusal changes no row."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from uuid_utils.compat import uuid7

from deploy.local.nats import Nats
from deploy.local.postgres import SUPERUSER, Postgres
from gateway.errors import (
    AccountPaused,
    ExchangePaused,
    IdempotencyKeyReused,
    InvalidInput,
    NotFound,
    RateLimitExceeded,
)
from gateway.limits import Policy
from gateway.outbox.relay import Relay
from gateway.rows.accounts import Account
from gateway.rows.syncs import Opening
from gateway.store import opening
from gateway.store.pool import Pool
from gateway.syncs.messages import sync_request
from gateway.syncs.open import Terms
from gateway.syncs.requests import Asking, Idempotency, Requests
from tests.gateway.allowing import allowing
from tests.gateway.conftest import announcing, opened
from tests.gateway.syncs.test_open import pause
from tests.joining import bus_of
from tests.system.test_sweeper import run
from tests.waiting import passed, until

pytestmark = pytest.mark.usefixtures("unpublished")
KEY = Ed25519PrivateKey.generate()
ADDRESS = "203.0.113.7"
USED = "select policy, used from rate_limits order by policy"


def requests(pool: Pool, nats: Nats, **quotas: int) -> Requests:
    """Return the part that accepts requests; its relay does not run."""
    bus = bus_of(nats, "gateway")
    relay = Relay(pool, bus)
    return Requests(pool, relay, announcing(pool, bus), Terms(KEY, 120), allowing(**quotas))


def asking(user_id: UUID, key: str | None = None, used_for: str = "POST /sync") -> Asking:
    """Request a sync, with an idempotency key if given."""
    return Asking(user_id, ADDRESS, None if key is None else Idempotency(key, used_for))


async def test_a_request_counts_for_the_user_and_the_address(
    pool: Pool, nats: Nats, account: Account, database: Postgres
) -> None:
    """The remaining quota is returned."""
    accepted = await requests(pool, nats, sync=5).one(asking(account.user_id), account.id)

    assert await run(database, "select id from syncs") == [(accepted.target_id,)]
    assert (accepted.allowance.left, accepted.replayed) == (4, False)
    assert await run(database, USED) == [("address", 1), ("sync", 1)]


@pytest.mark.parametrize("limited", ["sync", "address"])
async def test_one_too_many_opens_nothing_and_is_not_counted(
    pool: Pool, nats: Nats, account: Account, database: Postgres, limited: str
) -> None:
    """Neither for its user nor for its address, whichever of the two has used its limit up."""
    asked = requests(pool, nats, **{limited: 1})
    await asked.one(asking(account.user_id), account.id)
    await run(database, "update syncs set status = 'failed', finished_at = now()")

    with pytest.raises(RateLimitExceeded):
        await asked.one(asking(account.user_id), account.id)

    assert await run(database, "select count(*) from syncs") == [(1,)]
    assert await run(database, USED) == [("address", 1), ("sync", 1)]


async def test_a_request_that_is_refused_counts_and_changes_nothing_else(
    pool: Pool, nats: Nats, account: Account, database: Postgres
) -> None:
    """Requests for foreign and paused accounts do not bypass the limit."""
    asked = requests(pool, nats)
    with pytest.raises(NotFound):
        await asked.one(asking(uuid4(), "k"), account.id)
    await pause(pool, account)
    with pytest.raises(AccountPaused):
        await asked.one(asking(account.user_id, "k"), account.id)

    assert sorted(await run(database, USED)) == [("address", 2), ("sync", 1), ("sync", 1)]
    assert await run(database, "select 1 from syncs") == []
    assert await run(database, "select 1 from idempotency_keys") == []


async def test_a_key_that_is_used_again_stands_for_the_first_request(
    pool: Pool, nats: Nats, account: Account, database: Postgres
) -> None:
    """Even if its sync has ended; the repeat counts as a write, not as a sync."""
    asked = requests(pool, nats)
    first = await asked.one(asking(account.user_id, "k"), account.id)
    await run(database, "update syncs set status = 'failed', finished_at = now()")

    again = await asked.one(asking(account.user_id, "k"), account.id)

    assert (again.target_id, again.replayed) == (first.target_id, True)
    assert await run(database, USED) == [("address", 2), ("sync", 1), ("write", 1)]


async def test_a_key_of_a_request_that_joined_stands_for_the_open_sync(
    pool: Pool, nats: Nats, account: Account
) -> None:
    """The sync of another request, which the response named."""
    open_sync, asked = await opened(pool, account), requests(pool, nats)

    joined = await asked.one(asking(account.user_id, "k"), account.id)
    again = await asked.one(asking(account.user_id, "k"), account.id)

    assert [each.target_id for each in (joined, again)] == [open_sync.id] * 2
    assert (joined.replayed, again.replayed) == (False, True)


async def test_a_key_is_not_used_for_another_request(pool: Pool, nats: Nats, account: Account) -> None:
    """No sync is opened, and the first request keeps the key."""
    asked = requests(pool, nats)
    await asked.one(asking(account.user_id, "k"), account.id)

    with pytest.raises(IdempotencyKeyReused):
        await asked.all(asking(account.user_id, "k", "POST /sync-all"))

    assert (await asked.one(asking(account.user_id, "k"), account.id)).replayed


@pytest.mark.parametrize("key", ["", "x" * 129, "\u00fc", "a\nb"])
async def test_a_key_that_can_not_be_one_is_refused(
    pool: Pool, nats: Nats, account: Account, key: str
) -> None:
    """It has 1 to 128 printable characters."""
    with pytest.raises(InvalidInput):
        await requests(pool, nats).one(asking(account.user_id, key), account.id)


async def test_a_batch_holds_the_sync_of_every_account(
    pool: Pool, nats: Nats, account: Account, database: Postgres
) -> None:
    """A repeat with the same key returns the same batch."""
    asked = requests(pool, nats)

    first, again = [await asked.all(asking(account.user_id, "k")) for _ in range(2)]

    assert first.target_id == again.target_id
    assert await run(database, "select batch_id from sync_batch_members") == [(first.target_id,)]
    assert await run(database, "select count(*) from sync_batches") == [(1,)]


async def test_a_request_that_waits_for_its_account_is_not_refused_by_a_window_that_ended(
    pool: Pool, nats: Nats, account: Account, database: Postgres
) -> None:
    """The address's quota was used up when the request came, and is free when it has the account's lock."""
    asked = requests(pool, nats)
    await run(
        database,
        "insert into rate_limits values ('address', %s, 100, now() + interval '0.5 seconds')",
        ADDRESS,
    )
    async with await database.connect(SUPERUSER) as holder, holder.transaction():
        await holder.execute("select from accounts where id = %s for update", [account.id])
        asking_now = asyncio.create_task(asked.one(asking(account.user_id), account.id))
        await until(passed(0.8))

    assert (await asking_now).opened


async def test_a_request_that_waits_for_its_account_sees_a_pause_of_the_exchange(
    pool: Pool, nats: Nats, account: Account, database: Postgres
) -> None:
    """An operator's pause that was committed meanwhile refuses it."""
    async with await database.connect(SUPERUSER) as holder, holder.transaction():
        await holder.execute("select from accounts where id = %s for update", [account.id])
        asked = asyncio.create_task(requests(pool, nats).one(asking(account.user_id), account.id))
        await until(passed(0.5))
        await run(database, "insert into paused_exchanges (exchange) values ('okx')")

    with pytest.raises(ExchangePaused):
        await asked
    assert await run(database, "select 1 from syncs") == []


async def test_a_request_that_waits_for_its_account_asks_for_the_credential_of_then(
    pool: Pool, nats: Nats, account: Account, database: Postgres
) -> None:
    """The grant and the request name the credential that replaced another meanwhile."""
    replacement = uuid7()
    async with await database.connect(SUPERUSER) as holder, holder.transaction():
        await holder.execute("select from accounts where id = %s for update", [account.id])
        asked = asyncio.create_task(requests(pool, nats).one(asking(account.user_id), account.id))
        await until(passed(0.5))
        await holder.execute(
            "insert into credentials (id, user_id, exchange, state) values (%s, %s, 'okx', 'live')",
            [replacement, account.user_id],
        )
        await holder.execute("update accounts set credential_id = %s", [replacement])

    assert (await asked).opened
    ((body,),) = await run(database, "select convert_from(body, 'UTF8')::json->>'credential_id' from outbox")
    assert UUID(str(body)) == replacement


async def test_each_opened_sync_is_in_the_audit(
    pool: Pool, nats: Nats, account: Account, database: Postgres
) -> None:
    """With the user, the sync and its account; a request that joins it adds no line."""
    asked = requests(pool, nats)
    opened = await asked.one(asking(account.user_id), account.id)
    await asked.one(asking(account.user_id), account.id)

    lines = await run(database, "select user_id, action, subject, detail->>'account_id' from audit")
    assert lines == [(account.user_id, "sync_requested", opened.target_id, str(account.id))]


@pytest.mark.parametrize(("lease", "attempts"), [(5.0, 1), (0.0, 0)])
async def test_a_request_with_a_lease_is_not_due(
    pool: Pool, account: Account, database: Postgres, lease: float, attempts: int
) -> None:
    """Only the relay that has the lease publishes it meanwhile."""
    async with pool.transaction() as connection:
        asked = await opening.look(connection, account.user_id, account.id)
        assert asked is not None
        deadline = asked.now + timedelta(seconds=60)
        sync = Opening(uuid7(), account.user_id, account.id, asked.credential_id, "okx", deadline)
        request = sync_request(sync, asked, KEY)
        assert request is not None
        charges = ((Policy("sync", 1), str(account.user_id)), (Policy("address", 1), ADDRESS))
        opened_now = await opening.write(connection, sync, request, charges, lease)

    assert opened_now is not None
    written = "select id, attempts, next_at between now() and now() + interval '5 seconds' from outbox"
    assert await run(database, written) == [(opened_now.outbox_id, attempts, lease > 0)]

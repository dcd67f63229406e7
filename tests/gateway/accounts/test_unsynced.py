"""The key of an account without a schedule is verified on each day without a sync."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.credentials import Refused, VerifiedRights
from contracts.faults import Code
from contracts.syncs import KeyFacts
from deploy.local.nats import Nats
from deploy.local.postgres import Postgres
from gateway.accounts.change import Changes, change
from gateway.accounts.look import find_keys
from gateway.accounts.unsynced import UnsyncedKeys
from gateway.outbox.relay import Relay
from gateway.rows.accounts import Account
from gateway.store.pool import Pool
from tests.gateway.accounts.test_pause import READ_ONLY, events, paused, synced
from tests.gateway.accounts.test_reverifier import Worker
from tests.system.test_sweeper import run
from tests.vault_broker.conftest import connected

pytestmark = pytest.mark.usefixtures("unpublished")
VERIFY_IN = "select extract(epoch from verify_at - now())::integer from schedule"


@pytest_asyncio.fixture(name="worker")
async def _worker(nats: Nats) -> AsyncIterator[Worker]:
    worker = Worker()
    async with connected(nats, "sync-worker", "worker", worker.declare):
        yield worker


@pytest_asyncio.fixture(name="keys")
async def _keys(pool: Pool, nats: Nats, grant_key: Ed25519PrivateKey) -> AsyncIterator[UnsyncedKeys]:
    async with connected(nats, "gateway", "gateway") as bus:
        yield UnsyncedKeys(pool, bus, Relay(pool, bus), grant_key)


@pytest_asyncio.fixture(name="off")
async def _off(pool: Pool, account: Account, database: Postgres) -> Account:
    """Return an account whose schedule was turned off a day ago."""
    await change(pool, account.user_id, account.id, Changes(sync_interval=None))
    await run(database, "update schedule set verify_at = now()")
    return account


async def verify_in(database: Postgres) -> int:
    """Return in how many seconds the key is due to be verified."""
    ((seconds,),) = await run(database, VERIFY_IN)
    return int(str(seconds))


async def test_a_key_is_verified_once_a_day(
    keys: UnsyncedKeys, worker: Worker, off: Account, pool: Pool, database: Postgres
) -> None:
    """A key that may only read stays; the next verification is due a day later."""
    await keys.verify_due()
    await keys.verify_due()

    (asked,) = worker.asked
    assert (asked.credential_id, asked.rights_only) == (off.credential_id, True)
    assert await paused(pool, off) is None
    assert 86000 < await verify_in(database) <= 86400


async def test_a_key_that_may_do_more_pauses_its_account(
    keys: UnsyncedKeys, worker: Worker, off: Account, pool: Pool, database: Postgres
) -> None:
    """As a sync would, with the same event."""
    assert off.credential_id is not None
    told = VerifiedRights("1", ("read_only", "trade"), KeyFacts(ip_bound=True))
    worker.said[off.credential_id] = told

    await keys.verify_due()

    assert (await find_keys(pool, [off.id]))[off.id].ip_bound
    pause = await paused(pool, off)
    assert pause is not None
    assert (pause.reason, pause.rights) == (Code.OVER_PRIVILEGED_KEY, ("trade",))
    assert [event["reason"] for event in await events(database, "paused")] == [Code.OVER_PRIVILEGED_KEY]


async def test_a_sync_of_the_day_is_the_proof(
    keys: UnsyncedKeys, worker: Worker, off: Account, pool: Pool, database: Postgres
) -> None:
    """The exchange is not asked more often than needed, and not about accounts that are scheduled.

    The day counts from the sync, so that no key stays unproven for almost two.
    """
    await synced(pool, off, READ_ONLY)
    await run(database, "update accounts set last_synced_at = now() - interval '23 hours'")
    await keys.verify_due()
    assert 3500 < await verify_in(database) <= 3600

    await change(pool, off.user_id, off.id, Changes(sync_interval=300))
    await keys.verify_due()

    assert worker.asked == []


@pytest.mark.parametrize(
    ("code", "least", "most"), [(Code.EXCHANGE_TIMEOUT, 0, 400), (Code.KEY_REJECTED, 86000, 86400)]
)
async def test_a_verification_that_fails_pauses_nothing(
    keys: UnsyncedKeys,
    worker: Worker,
    off: Account,
    pool: Pool,
    database: Postgres,
    code: Code,
    least: int,
    most: int,
) -> None:
    """One that may succeed soon is repeated in minutes, any other on the next day."""
    assert off.credential_id is not None
    worker.said[off.credential_id] = Refused(code, "no")

    await keys.verify_due()

    assert await paused(pool, off) is None
    assert least <= await verify_in(database) <= most


async def test_turning_the_schedule_off_again_postpones_no_verification(
    keys: UnsyncedKeys, worker: Worker, off: Account, pool: Pool
) -> None:
    """A client that repeats its request each day would else keep the key from being verified."""
    await change(pool, off.user_id, off.id, Changes(sync_interval=None))

    await keys.verify_due()

    assert len(worker.asked) == 1


async def test_the_key_of_a_disabled_user_is_not_used(
    keys: UnsyncedKeys, worker: Worker, off: Account, database: Postgres
) -> None:
    """It is verified when an operator has enabled the user again."""
    await run(database, "insert into disabled_users (user_id) values (%s)", off.user_id)

    await keys.verify_due()

    assert worker.asked == []

"""The reverifier verifies each paused key when it is due, also after outages and failures of others."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis.bus.connection import Bus
from chassis.bus.respond import respond
from contracts import subjects
from contracts.credentials import Refused, Verified, VerifiedRights, Verify
from contracts.faults import Code
from contracts.syncs import Rights
from contracts.wire.envelope import decode
from deploy.local.nats import Nats
from deploy.local.postgres import Postgres
from gateway.accounts.broker import Broker
from gateway.accounts.destroyer import Destroyer
from gateway.accounts.reverify import (
    AT_ONCE,
    CLAIM_SECONDS,
    HOURLY_SECONDS,
    RETRY_SECONDS,
    SOON_SECONDS,
    YOUNG_SECONDS,
    Reverifier,
)
from gateway.outbox.relay import Relay
from gateway.rows.accounts import Account
from gateway.store import accounts
from gateway.store.pool import Pool
from tests.gateway.accounts.conftest import GRACE_SECONDS
from tests.gateway.accounts.test_pause import TRADING, events, paused, replaced, synced
from tests.gateway.accounts.test_reverify import actions, make_due, wait_until_due
from tests.gateway.denying import denied
from tests.gateway.looping import looping, told
from tests.gateway.syncs.test_recorder import another
from tests.system.test_sweeper import run
from tests.vault_broker.conftest import connected
from tests.vault_broker.test_stolen_broker import pinned
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("unpublished")
EVERY = 0.05
READ_ONLY = VerifiedRights("1", ("read_only",))
PAUSES = "select account_id from account_pauses"


class Worker:
    """Answers verifications: `said` by credential, else that the key may only read."""

    def __init__(self) -> None:
        self.said: dict[UUID, Refused | VerifiedRights | Verified] = {}
        self.uids: dict[UUID, str] = {}
        self.asked: list[Verify] = []

    @property
    def credentials(self) -> list[UUID]:
        """Return the credentials of the verifications so far, sorted."""
        return sorted(each.credential_id for each in self.asked)

    def declare(self, bus: Bus) -> None:
        """Answer for the worker."""

        async def verify(body: bytes) -> Any:
            request: Verify = decode(body, Verify)
            self.asked.append(request)
            uid = self.uids.get(request.credential_id, "1")
            return self.said.get(request.credential_id, VerifiedRights(uid, ("read_only",)))

        respond(bus, subjects.verify("okx"), "sync-worker", verify, AT_ONCE)


@pytest_asyncio.fixture(name="worker")
async def _worker(nats: Nats) -> AsyncIterator[Worker]:
    worker = Worker()
    async with connected(nats, "sync-worker", "worker", worker.declare):
        yield worker


@pytest_asyncio.fixture(name="reverifier")
async def _reverifier(pool: Pool, nats: Nats, grant_key: Ed25519PrivateKey) -> AsyncIterator[Reverifier]:
    """Yield a reverifier whose relay and destroyer do not run."""
    async with connected(nats, "gateway", "gateway") as bus:
        destroyer = Destroyer(pool, Broker(bus, pinned(), grant_key), GRACE_SECONDS)
        yield Reverifier(pool, bus, Relay(pool, bus), destroyer, grant_key)


@pytest_asyncio.fixture(name="due")
async def _due(pool: Pool, account: Account, database: Postgres) -> Account:
    """Return an account that is paused and due to be verified."""
    await synced(pool, account, TRADING)
    await make_due(database)
    return account


async def paused_many(pool: Pool, account: Account, database: Postgres, many: int) -> list[Account]:
    """Pause many accounts and make them due."""
    added = [account, *[await another(pool, account, number) for number in range(many - 1)]]
    for each in added:
        await synced(pool, each, Rights(each.exchange_uid, ("read_only", "trade")))
    await make_due(database)
    return added


async def test_a_key_that_may_only_read_resumes_its_account(
    reverifier: Reverifier, worker: Worker, due: Account, pool: Pool, database: Postgres
) -> None:
    """The worker is asked once, for the rights alone; one event and one audit row tell the end."""
    await reverifier.verify_due()
    await reverifier.verify_due()

    (asked,) = worker.asked
    assert (asked.credential_id, asked.rights_only) == (due.credential_id, True)
    assert await paused(pool, due) is None
    assert len(await events(database, "resumed")) == 1
    assert await actions(database) == ["account_paused", "account_resumed"]


async def test_a_pause_that_is_not_due_is_left_alone(
    reverifier: Reverifier, worker: Worker, account: Account, pool: Pool
) -> None:
    """The exchange is not asked more often than needed."""
    await synced(pool, account, TRADING)

    await reverifier.verify_due()

    assert worker.asked == []
    assert await paused(pool, account) is not None


@pytest.mark.parametrize(
    ("age", "answer", "least", "most"),
    [
        (0, Code.EXCHANGE_TIMEOUT, 0, SOON_SECONDS),
        (YOUNG_SECONDS + 60, Code.EXCHANGE_TIMEOUT, SOON_SECONDS, RETRY_SECONDS),
        (0, Code.KEY_REJECTED, RETRY_SECONDS, HOURLY_SECONDS),
    ],
)
async def test_a_refused_verification_keeps_the_pause_and_the_secret(
    reverifier: Reverifier,
    worker: Worker,
    due: Account,
    database: Postgres,
    age: float,
    answer: Code,
    least: float,
    most: float,
) -> None:
    """It is tried again soon for a young pause, later for an old one, and hourly for a permanent fault."""
    assert due.credential_id is not None
    worker.said = {due.credential_id: Refused(answer)}
    await run(database, "update account_pauses set paused_at = now() - make_interval(secs => %s)", age)

    await reverifier.verify_due()

    assert least < await wait_until_due(database) <= most
    assert await actions(database) == ["account_paused"]
    assert await run(database, "select state from credentials") == [("live",)]


async def test_a_pause_outlives_a_worker_that_is_away(
    reverifier: Reverifier, nats: Nats, due: Account, pool: Pool, database: Postgres
) -> None:
    """Without an answer the account stays paused, and it resumes when a worker is there again."""
    async with looping(reverifier.run(EVERY)) as logged:
        await until(told(logged, "pause_not_verified"))
        assert await paused(pool, due) is not None
        assert await wait_until_due(database) > 0

        async with connected(nats, "sync-worker", "worker", Worker().declare):
            await make_due(database)

            async def resumed() -> bool:
                return await paused(pool, due) is None

            await until(resumed)

    assert await actions(database) == ["account_paused", "account_resumed"]


async def test_all_that_are_due_are_verified_in_one_look(
    reverifier: Reverifier, worker: Worker, account: Account, pool: Pool, database: Postgres
) -> None:
    """More than the gateway claims at once, each once; a refused one holds up no other."""
    many = await paused_many(pool, account, database, AT_ONCE + 2)
    keys = sorted(each.credential_id for each in many if each.credential_id is not None)
    worker.uids = {each.credential_id: each.exchange_uid for each in many if each.credential_id is not None}
    worker.said = {keys[0]: Refused(Code.RATE_LIMITED)}

    await reverifier.verify_due()

    assert worker.credentials == keys
    still = [each.id for each in many if each.credential_id == keys[0]]
    assert await run(database, PAUSES) == [(each,) for each in still]


async def test_what_could_not_be_settled_is_verified_again_after_its_claim(
    reverifier: Reverifier, worker: Worker, due: Account, pool: Pool, database: Postgres
) -> None:
    """The database went away after the worker's answer: no second question until the claim is over."""
    async with looping(reverifier.run(EVERY)) as logged, denied(database, "delete", "account_pauses"):
        await until(told(logged, "reverifying_waits", 2))
    assert worker.asked == []

    async with denied(database, "insert", "outbox"):
        await reverifier.verify_due()
        await reverifier.verify_due()
    assert worker.credentials == [due.credential_id]
    assert CLAIM_SECONDS - 10 < await wait_until_due(database) <= CLAIM_SECONDS

    await make_due(database)
    await reverifier.verify_due()
    assert await paused(pool, due) is None
    assert await actions(database) == ["account_paused", "account_resumed"]


async def test_verifying_goes_on_after_the_database_was_away(
    reverifier: Reverifier, worker: Worker, due: Account, pool: Pool, database: Postgres
) -> None:
    """The loop outlives the outage, and asks no worker meanwhile."""

    async def resumed() -> bool:
        return await paused(pool, due) is None

    async with looping(reverifier.run(EVERY)) as logged:
        async with denied(database, "update", "account_pauses"):
            await until(told(logged, "reverifying_waits", 2))
            assert worker.asked == []
        await until(resumed)

    assert worker.credentials == [due.credential_id]


async def test_a_replaced_key_ends_its_pause_and_a_deleted_account_ends_silently(
    reverifier: Reverifier, worker: Worker, account: Account, pool: Pool, database: Postgres
) -> None:
    """An earlier gateway replaced or deleted the keys; one event says that the account syncs again."""
    gone = await another(pool, account, 1)
    for each in (account, gone):
        await synced(pool, each, Rights(each.exchange_uid, ("read_only", "trade")))
    await replaced(pool, account)
    async with pool.transaction() as connection:
        await accounts.delete_account(connection, gone.id)

    async def ended() -> bool:
        return await run(database, PAUSES) == []

    async with looping(reverifier.run(EVERY)):
        await until(ended)

    (event,) = await events(database, "resumed")
    assert event["account_id"] == str(account.id)
    assert worker.asked == []

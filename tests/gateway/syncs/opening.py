"""Each way to open a sync, and the request that it puts into the outbox."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from uuid_utils.compat import uuid7

from contracts.syncs import SyncRequested
from contracts.wire.envelope import decode
from deploy.local.nats import Nats
from deploy.local.postgres import Postgres
from gateway.rows.accounts import Account
from gateway.store import schedules
from gateway.store.pool import Pool
from gateway.syncs.open import Terms, open_due, open_one
from tests.gateway.syncs.test_requests import asking, requests
from tests.system.test_sweeper import run

TERMS = Terms(Ed25519PrivateKey.generate(), 120)
WAYS = ("a person", "a person with a key", "the schedule", "a repeated request")


async def opened_by(by: str, pool: Pool, nats: Nats, account: Account, database: Postgres) -> SyncRequested:
    """Open a sync in one of the ways, and return its request."""
    match by:
        case "the schedule":
            await run(database, "update schedule set next_at = now() - interval '1 second'")
            async with pool.transaction() as connection:
                subject = f"butler.sync.scheduled.{account.exchange}"
                due = await schedules.claim(connection, account.exchange, subject, 5)
                await open_due(connection, TERMS, due)
        case "a repeated request":
            async with pool.transaction() as connection:
                await open_one(connection, TERMS, account.id, uuid7())
        case _:
            key = "once" if by.endswith("key") else None
            await requests(pool, nats).one(asking(account.user_id, key), account.id)
    return await queued(database)


async def queued(database: Postgres) -> SyncRequested:
    """Return the request of the queued sync."""
    ((body,),) = await run(
        database, "select body from outbox where sync_id = (select id from syncs where status = 'queued')"
    )
    return decode(bytes(body), SyncRequested)

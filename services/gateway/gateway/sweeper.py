"""The sweeper: settles syncs that went silent or are over their deadline, as nobody else will."""

import asyncio

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.faults import Code
from gateway.messages import failed_outcome, sync_request
from gateway.relay import Relay
from gateway.store import accounts, limits, logins, outbox, syncs, users
from gateway.store.pool import DatabaseUnavailable, Pool

BATCH = 100
SWEEP_SECONDS = 5.0
OVERDUE_GRACE_SECONDS = 5.0

log = structlog.get_logger()


class Sweeper:
    """Runs every five seconds; any number of them may run at once."""

    def __init__(self, pool: Pool, relay: Relay, key: Ed25519PrivateKey, sync_deadline: float) -> None:
        self._pool = pool
        self._relay = relay
        self._key = key
        self._silence = sync_deadline / 2

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self.sweep()
            except DatabaseUnavailable as error:
                log.warning("sweeper_waits", reason=str(error))

    async def sweep(self) -> None:
        """Do all that is due; doing it again is harmless."""
        await self._republish_silent()
        await self._settle_overdue()
        async with self._pool.transaction() as connection:
            await users.delete_expired_families(connection)
            await syncs.delete_old_idempotency_keys(connection)
            await limits.delete_over(connection)
            await logins.delete_old(connection)

    async def _republish_silent(self) -> None:
        """Publish again what was silent for half of its time: the bus may have lost it."""
        async with self._pool.transaction() as connection:
            for sync in await syncs.take_silent(connection, self._silence, BATCH):
                account = await accounts.find_account(connection, sync.user_id, sync.account_id)
                request = account and sync_request(sync, account, self._key)
                if request:
                    await outbox.put(connection, request)
                    log.warning("sync_republished", sync_id=sync.id, publication=sync.publications)
        self._relay.wake()

    async def _settle_overdue(self) -> None:
        """Let syncs whose deadline is over end as a worker would end them."""
        async with self._pool.transaction() as connection:
            for sync in await syncs.take_overdue(connection, OVERDUE_GRACE_SECONDS, BATCH):
                await outbox.put(connection, failed_outcome(sync, Code.DEADLINE_EXCEEDED))
                log.warning("sync_overdue", sync_id=sync.id)
        self._relay.wake()

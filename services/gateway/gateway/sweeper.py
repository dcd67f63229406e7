"""The sweeper: settles what nobody else will, from credentials to destroy to syncs that went silent."""

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.faults import Code, Failure
from gateway.messages import failed_outcome, sync_request
from gateway.relay import Relay
from gateway.store import accounts, audit, credentials, outbox, syncs, users
from gateway.store.audit import Action
from gateway.store.credentials import Doomed
from gateway.store.pool import DatabaseUnavailable, Pool
from gateway.vault import Vault
from gateway.waking import Wake

BATCH = 100
SWEEP_SECONDS = 5.0
DESTROY_PAUSE_SECONDS = 10.0
OVERDUE_GRACE_SECONDS = 5.0

log = structlog.get_logger()


class Times(msgspec.Struct, frozen=True):
    """How long, in seconds, a sync may take and a credential may be pending."""

    sync_deadline: float
    credential_grace: float


class Sweeper:
    """Runs every five seconds and when woken; any number of them may run at once."""

    def __init__(
        self,
        pool: Pool,
        vault: Vault,
        relay: Relay,
        key: Ed25519PrivateKey,
        times: Times,
    ) -> None:
        self._pool = pool
        self._vault = vault
        self._relay = relay
        self._key = key
        self._silence = times.sync_deadline / 2
        self._credential_grace = times.credential_grace
        self._bell = Wake()

    def wake(self) -> None:
        """Say that a credential was doomed."""
        self._bell.ring()

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            await self._bell.wait(SWEEP_SECONDS)
            try:
                await self.sweep()
            except DatabaseUnavailable as error:
                log.warning("sweeper_waits", reason=str(error))

    async def sweep(self) -> None:
        """Do all that is due; doing it again is harmless."""
        await self._republish_silent()
        await self._settle_overdue()
        async with self._pool.transaction() as connection:
            await credentials.doom_abandoned(connection, self._credential_grace)
            await users.delete_expired_families(connection)
            await syncs.delete_old_idempotency_keys(connection)
            doomed = await credentials.take_doomed(connection, BATCH, DESTROY_PAUSE_SECONDS)
        for credential in doomed:
            await self._destroy(credential)

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

    async def _destroy(self, credential: Doomed) -> None:
        """Destroy a credential in the vault, and only then forget it and say so in the audit."""
        try:
            await self._vault.destroy(credential.id)
        except Failure as failure:
            log.warning("destroy_postponed", credential_id=credential.id, code=failure.code)
            return
        async with self._pool.transaction() as connection:
            if await credentials.delete_destroyed(connection, credential.id):
                await audit.record(
                    connection, Action.SECRET_DESTROYED, user_id=credential.user_id, subject=credential.id
                )

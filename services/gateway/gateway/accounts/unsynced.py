"""Verifies daily the keys of accounts without a schedule, because only a sync proves the rights otherwise."""

import asyncio

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis.bus.connection import Bus
from contracts.credentials import Verified, VerifiedRights
from contracts.exchanges import EXCHANGES
from contracts.faults import Code, Failure, fault_of
from gateway.accounts.pause import pause_found
from gateway.accounts.reverify import keep_facts, retry_seconds
from gateway.accounts.rights import judge_rights
from gateway.accounts.verify import Asked, verify_rights
from gateway.outbox.relay import Relay
from gateway.rows.schedules import Unsynced
from gateway.store import accounts, pauses, unsynced
from gateway.store.background import repeat
from gateway.store.clock import DatabaseTime
from gateway.store.pool import Connection, DatabaseUnavailable, Pool, database_time

LOOK_SECONDS = 60.0
DAY_SECONDS = 86400.0
AT_ONCE = 8
BATCHES = 40

log = structlog.get_logger()


class UnsyncedKeys:
    """Looks every minute; any number of gateways may run this at once."""

    def __init__(self, pool: Pool, bus: Bus, relay: Relay, key: Ed25519PrivateKey) -> None:
        self._pool = pool
        self._bus = bus
        self._relay = relay
        self._key = key

    async def run(self, every: float = LOOK_SECONDS) -> None:
        """Verify the keys that are due, for ever."""
        await repeat("verifying_unsynced", self.verify_due, asyncio.sleep, every)

    async def verify_due(self) -> None:
        """Verify the keys that are due, a few at once."""
        for _ in range(BATCHES):
            async with self._pool.transaction() as connection:
                due = await unsynced.claim(connection, list(EXCHANGES), DAY_SECONDS, AT_ONCE)
                begun = DatabaseTime.just(await database_time(connection))
            await asyncio.gather(*(self._verify(each, begun) for each in due if not each.synced))
            if len(due) < AT_ONCE:
                return

    async def _verify(self, due: Unsynced, begun: DatabaseTime) -> None:
        """Verify a key; after a failure that may end by itself, the gateway retries in minutes."""
        if due.closed or due.credential_id is None:
            return
        try:
            asked = Asked(due.credential_id, due.exchange, due.region)
            verified = await verify_rights(self._bus, self._key, asked, begun)
            async with self._pool.transaction() as connection:
                await _settle(connection, due, verified)
        except Failure as failure:
            await self._fail(due, failure)
        except DatabaseUnavailable as error:
            log.warning("unsynced_key_not_settled", account_id=due.account_id, reason=str(error))
        else:
            self._relay.wake()

    async def _fail(self, due: Unsynced, failure: Failure) -> None:
        again_in = retry_seconds(failure, DAY_SECONDS) if fault_of(failure.code).retryable else DAY_SECONDS
        log.warning(
            "unsynced_key_not_verified", account_id=due.account_id, code=failure.code, again_in=again_in
        )
        async with self._pool.transaction() as connection:
            await unsynced.postpone(connection, due.account_id, again_in)


async def _settle(connection: Connection, due: Unsynced, verified: VerifiedRights | Verified) -> None:
    """Pause the account of a key that must not be used, unless the key was replaced meanwhile.

    A key that may not even read is no reason for a pause, as in a sync.
    """
    account = await accounts.lock_account(connection, due.account_id)
    if account is None or account.credential_id != due.credential_id:
        return
    if await pauses.find(connection, [account.id]):
        return
    finding = judge_rights(EXCHANGES[account.exchange], account.exchange_uid, verified)
    await keep_facts(connection, account, verified)
    log.info(
        "unsynced_key_verified", account_id=account.id, found=str(finding.code) if finding else "read_only"
    )
    if finding is not None and finding.code != Code.PERMISSION_MISSING:
        await pause_found(connection, account, finding)

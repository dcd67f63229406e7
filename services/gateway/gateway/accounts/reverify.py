"""Verifies the keys of paused accounts: the pause ends, stays, or the secret is destroyed."""

import asyncio

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from uuid_utils.compat import uuid7

from chassis.bus.connection import Bus
from contracts.credentials import Verified, VerifiedRights
from contracts.exchanges import EXCHANGES
from contracts.faults import Code, Failure, fault_of
from contracts.syncs import KeyFacts
from gateway.accounts.destroyer import Destroyer
from gateway.accounts.pause import FIRST_VERIFY_SECONDS, change_reason, resume, tell_resumed
from gateway.accounts.rights import Finding, judge_rights
from gateway.accounts.verify import Asked, verify_rights
from gateway.limits import Policy
from gateway.outbox.relay import Relay
from gateway.rows.accounts import Account
from gateway.rows.pauses import Due, Pause
from gateway.store import accounts, audit, credentials, keys, limits, pauses
from gateway.store.audit import Action
from gateway.store.background import repeat
from gateway.store.clock import DatabaseTime
from gateway.store.pool import Connection, DatabaseUnavailable, Pool, database_time

LOOK_SECONDS = 5.0
AT_ONCE = 8
BATCHES = 40
HOURLY_SECONDS = 3600.0
# The lease of a gateway on a pause: longer than a verification and its settling take.
CLAIM_SECONDS = 60.0
# Retries after a transient failure: soon while the pause is young, then less often.
SOON_SECONDS = 15.0
YOUNG_SECONDS = 180.0
RETRY_SECONDS = 300.0
# A compromised worker that lies twice destroys a secret, so all gateways together destroy at most one a
# minute.
DESTRUCTIONS = Policy("secrets-given-up", 1)
POSTPONED_SECONDS = 120.0

log = structlog.get_logger()


class Reverifier:
    """Runs every five seconds; any number of reverifiers may run at once."""

    def __init__(
        self, pool: Pool, bus: Bus, relay: Relay, destroyer: Destroyer, key: Ed25519PrivateKey
    ) -> None:
        self._pool = pool
        self._bus = bus
        self._relay = relay
        self._destroyer = destroyer
        self._key = key

    async def run(self, every: float = LOOK_SECONDS) -> None:
        """Verify the keys that are due, for ever."""
        await repeat("reverifying", self._look, asyncio.sleep, every)

    async def _look(self) -> None:
        await self._end_replaced()
        await self.verify_due()

    async def verify_due(self) -> None:
        """Verify the keys that are due, a few at once."""
        for _ in range(BATCHES):
            async with self._pool.transaction() as connection:
                due = await pauses.claim_due(connection, list(EXCHANGES), CLAIM_SECONDS, AT_ONCE)
                begun = DatabaseTime.just(await database_time(connection))
            await asyncio.gather(*(self._verify(each, begun) for each in due))
            if len(due) < AT_ONCE:
                return

    async def _end_replaced(self) -> None:
        """End pauses of accounts whose key was replaced by a gateway version without pauses."""
        async with self._pool.transaction() as connection:
            for ended in await pauses.end_replaced(connection, AT_ONCE):
                if ended.deleted_at is None:
                    await tell_resumed(connection, ended)

    async def _verify(self, due: Due, begun: DatabaseTime) -> None:
        """Verify a key; after a failure the account stays paused and the gateway retries later."""
        try:
            await self._settle(due, begun)
        except DatabaseUnavailable as error:
            log.warning("pause_not_settled", account_id=due.account_id, reason=str(error))
            return
        self._relay.wake()
        self._destroyer.wake()

    async def _settle(self, due: Due, begun: DatabaseTime) -> None:
        try:
            asked = Asked(due.credential_id, due.exchange, due.region)
            verified = await verify_rights(self._bus, self._key, asked, begun)
        except Failure as failure:
            again_in = retry_seconds(failure, due.age)
            log.warning("pause_not_verified", account_id=due.account_id, code=failure.code, again_in=again_in)
            async with self._pool.transaction() as connection:
                await pauses.postpone(connection, due, again_in)
            return
        async with self._pool.transaction() as connection:
            await settle(connection, due, verified)


def retry_seconds(failure: Failure, age: float) -> float:
    """Return the seconds until a failed verification is retried; `age` is that of the pause in seconds.

    A permanent fault waits an hour. No retry comes earlier than the exchange's Retry-After.
    """
    if not fault_of(failure.code).retryable:
        return HOURLY_SECONDS
    return max(SOON_SECONDS if age < YOUNG_SECONDS else RETRY_SECONDS, failure.retry_after or 0.0)


async def settle(connection: Connection, due: Due, verified: VerifiedRights | Verified) -> None:
    """Apply the result of a verification, unless the key was replaced or the account deleted meanwhile."""
    account = await accounts.lock_account(connection, due.account_id)
    if account is None or account.credential_id != due.credential_id:
        return
    pause = (await pauses.find(connection, [account.id])).get(account.id)
    if pause is None:
        return
    finding = judge_rights(EXCHANGES[account.exchange], account.exchange_uid, verified)
    await keep_facts(connection, account, verified)
    log.info("pause_verified", account_id=account.id, found=str(finding.code) if finding else "read_only")
    if finding is None:
        await resume(connection, account)
    elif finding.code == pause.reason == Code.OVER_PRIVILEGED_KEY:
        await _give_up_secret(connection, account, pause, finding)
    else:
        confirm = finding.code == Code.OVER_PRIVILEGED_KEY
        await change_reason(connection, account, finding, FIRST_VERIFY_SECONDS if confirm else HOURLY_SECONDS)


async def keep_facts(connection: Connection, account: Account, verified: VerifiedRights | Verified) -> None:
    """Keep what the exchange tells of the key of a locked account; another account's key tells nothing."""
    if account.credential_id is not None and verified.exchange_uid == account.exchange_uid:
        told = {account.credential_id: verified.key} if verified.key != KeyFacts() else {}
        await keys.update(connection, told)


async def _give_up_secret(connection: Connection, account: Account, pause: Pause, finding: Finding) -> None:
    """Destroy the secret of a key that was found twice to have excess rights; the account stays paused.

    A stand-in, which the vault does not hold, takes the credential's place.
    """
    if (await limits.take(connection, DESTRUCTIONS, "all")).exceeded:
        log.error("secret_kept", account_id=account.id, reason="too many at once")
        await change_reason(connection, account, finding, POSTPONED_SECONDS)
        return
    stand_in = uuid7()
    await change_reason(connection, account, finding, HOURLY_SECONDS)
    await credentials.insert_stand_in(connection, stand_in, account.user_id, account.exchange)
    await accounts.set_credential(connection, account.id, stand_in)
    await pauses.set_destroyed(connection, account.id, stand_in)
    await credentials.doom(connection, pause.credential_id, "live")
    await audit.record(
        connection,
        Action.SECRET_GIVEN_UP,
        account.user_id,
        account.id,
        credential_id=str(pause.credential_id),
        reason=finding.code,
        rights=list(finding.rights),
    )

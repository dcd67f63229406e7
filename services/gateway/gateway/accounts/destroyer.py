"""Destroys doomed credentials and the keys of ended offers in the vault, then deletes their rows."""

import asyncio

import structlog

from contracts.faults import Failure
from gateway.accounts.broker import Broker
from gateway.outbox.wake import Wake
from gateway.store import audit, credentials, offers
from gateway.store.audit import Action
from gateway.store.background import repeat
from gateway.store.credentials import Doomed
from gateway.store.pool import Pool

AT_ONCE = 8
SWEEP_SECONDS = 5.0
PAUSE_SECONDS = 10.0

log = structlog.get_logger()


class Destroyer:
    """Runs every few seconds and when woken; any number of destroyers may run at once."""

    def __init__(self, pool: Pool, broker: Broker, credential_grace: float) -> None:
        self._pool = pool
        self._broker = broker
        self._credential_grace = credential_grace
        self._bell = Wake()

    def wake(self) -> None:
        """Wake the destroyer after a credential was doomed."""
        self._bell.ring()

    async def run(self, every: float = SWEEP_SECONDS) -> None:
        """Destroy the credentials that are due, for ever."""
        await repeat("destroying", self._destroy_due, self._bell.wait, every)

    async def _destroy_due(self) -> None:
        while await self._destroy_some() == AT_ONCE:
            pass

    async def _destroy_some(self) -> int:
        """Destroy a few at once; returns how many were destroyed."""
        async with self._pool.transaction() as connection:
            await credentials.doom_abandoned(connection, self._credential_grace)
            await offers.end_due(connection, AT_ONCE)
            doomed = await credentials.take_doomed(connection, AT_ONCE, PAUSE_SECONDS)
        return sum(await asyncio.gather(*map(self._destroy, doomed)))

    async def _destroy(self, credential: Doomed) -> bool:
        try:
            await self._broker.destroy(credential.id)
        except Failure as failure:
            log.warning("destroy_postponed", credential_id=credential.id, code=failure.code)
            return False
        log.info("secret_destroyed", credential_id=credential.id)
        async with self._pool.transaction() as connection:
            if await credentials.delete_destroyed(connection, credential.id):
                await audit.record(connection, Action.SECRET_DESTROYED, credential.user_id, credential.id)
        return True

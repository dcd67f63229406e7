"""The schedule: opens the syncs of accounts that are due, in any number of gateways at once."""

import asyncio

import structlog

from chassis.bus.connection import Bus
from contracts import subjects
from contracts.exchanges import EXCHANGES
from gateway.outbox.relay import Relay
from gateway.store import schedules
from gateway.store.background import attempt, repeat
from gateway.store.pool import Pool
from gateway.syncs.open import Terms, open_due
from gateway.syncs.pace import LATEST_SECONDS
from gateway.syncs.progress import room_for_scheduled

LOOK_SECONDS = 1.0
BATCH = 200

log = structlog.get_logger()


class Scheduler:
    """Looks every second; at most `most_waiting` requests of an exchange wait, 0 turns it off.

    It opens nothing while the bus does not say how many wait, or no worker has a free slot for one.
    """

    def __init__(self, pool: Pool, bus: Bus, relay: Relay, terms: Terms, most_waiting: int) -> None:
        self._pool = pool
        self._bus = bus
        self._relay = relay
        self._terms = terms
        self._most_waiting = most_waiting

    async def run(self, every: float = LOOK_SECONDS) -> None:
        """Open the syncs that are due, for ever."""
        await repeat("scheduling", self.open_due, asyncio.sleep, every)

    async def open_due(self) -> None:
        """Open one batch for each exchange that has accounts that are due."""
        if not self._most_waiting:
            return
        async with self._pool.transaction() as connection:
            if pulled := await schedules.pull_back(connection, list(EXCHANGES), LATEST_SECONDS):
                log.error("schedule_was_ahead", accounts=pulled)
        due = await self._pool.single(lambda connection: schedules.find_due(connection, list(EXCHANGES)))
        for exchange in due:
            await attempt("scheduling", self._open_due_of(exchange), exchange=exchange)

    async def _open_due_of(self, exchange: str) -> None:
        room = await room_for_scheduled(self._bus, exchange, self._most_waiting)
        if room <= 0:
            log.debug("schedule_waits", exchange=exchange)
            return
        async with self._pool.transaction() as connection:
            subject = subjects.sync_scheduled(exchange)
            due = await schedules.claim(connection, exchange, subject, min(BATCH, room))
            opened = await open_due(connection, self._terms, due)
        if opened:
            self._relay.wake()

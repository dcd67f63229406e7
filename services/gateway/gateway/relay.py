"""The relay: the only publisher of what the gateway writes to its outbox."""

import asyncio

import structlog

from contracts.bus.connect import Bus, BusUnavailable
from gateway.store import outbox, syncs
from gateway.store.outbox import Waiting
from gateway.store.pool import DatabaseUnavailable, Pool
from gateway.waking import Wake

BATCH = 50
POLL_SECONDS = 1.0
PAUSE_SECONDS = 2.0
# More than the bus takes to give up on a message.
BATCH_SECONDS = 25.0

log = structlog.get_logger()


class Relay:
    """Publishes the outbox, oldest first, as soon as it is woken and at least once a second."""

    def __init__(self, pool: Pool, bus: Bus) -> None:
        self._pool = pool
        self._bus = bus
        self._bell = Wake()

    def wake(self) -> None:
        """Say that a transaction with something in the outbox was committed."""
        self._bell.ring()

    async def run(self) -> None:
        """Publish for ever."""
        while True:
            await self._bell.wait(POLL_SECONDS)
            try:
                while await self._publish_batch() == BATCH:
                    pass
            except (DatabaseUnavailable, BusUnavailable) as error:
                log.warning("relay_waits", reason=str(error))
                await asyncio.sleep(PAUSE_SECONDS)

    async def _publish_batch(self) -> int:
        """Publish up to a batch and take what the stream confirmed out of the outbox; gives how many."""
        async with self._pool.transaction(BATCH_SECONDS) as connection:
            waiting = await outbox.take(connection, BATCH)
            results = await asyncio.gather(*map(self._publish, waiting), return_exceptions=True)
            published = [
                (message, seq) for message, seq in zip(waiting, results, strict=True) if isinstance(seq, int)
            ]
            # Sync rows before outbox rows, as the sweeper takes them.
            for message, seq in published:
                if message.sync_id is not None:
                    await syncs.set_request_seq(connection, message.sync_id, seq)
            await outbox.delete(connection, [message.id for message, _ in published])
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return len(waiting)

    async def _publish(self, message: Waiting) -> int:
        return await self._bus.publish(
            message.subject, message.stream, message.body, message.message_id, message.stamped()
        )

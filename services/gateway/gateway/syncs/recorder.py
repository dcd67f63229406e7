"""Recording outcomes as they come, those that wait at the same time in one transaction."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import msgspec

from chassis import tracing
from contracts.streams import ACCOUNT_EVENTS
from contracts.syncs import SyncOutcome
from contracts.wire.grants import Grant
from gateway.outbox.relay import Relay
from gateway.portfolio.verdicts import wallet_reads
from gateway.rows.syncs import Sync
from gateway.store.pool import DatabaseUnavailable, Pool
from gateway.syncs.record import Recorded, Together, Understood, record, record_all

TOGETHER = 50
# More would make smaller batches.
AT_ONCE = 2
ALONE_AT_ONCE = 8


class Recorder:
    """Records outcomes, batching those that wait at the same time.

    An outcome that can not be recorded in a batch, because one of its rows is locked or it is faulty, is
    recorded alone and does not delay the others.
    """

    def __init__(self, pool: Pool, relay: Relay, how: Together | None = None) -> None:
        self._pool = pool
        self._relay = relay
        self._how = how or Together()
        self._waiting: list[tuple[Understood, asyncio.Future[Recorded | None]]] = []
        self._flushing: set[asyncio.Task[None]] = set()
        self._alone = asyncio.Semaphore(ALONE_AT_ONCE)

    async def record(self, outcome: SyncOutcome, grant: Grant | None = None) -> Sync | None:
        """Record an outcome with a verified grant; returns None if its sync already has a terminal state.

        Raises Malformed for an outcome that is unreadable or not that of its sync; NotStorable,
        DatabaseUnavailable.
        """
        understood = Understood(outcome, wallet_reads(outcome), grant, tracing.traceparent())
        answer: asyncio.Future[Recorded | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((understood, answer))
        if len(self._flushing) < AT_ONCE:
            flush = asyncio.create_task(self._flush(), context=tracing.outside())
            self._flushing.add(flush)
            flush.add_done_callback(self._flushing.discard)
        recorded = await answer
        if recorded is not None:
            return recorded.sync
        async with self._alone, self._pool.transaction() as connection:
            sync = await record(connection, outcome, self._how, grant)
        self._relay.wake()
        return sync

    async def _flush(self) -> None:
        """Record waiting outcomes in batches until none waits; those not recorded get None."""
        while self._waiting:
            together, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
            recorded: dict[UUID, Recorded] = {}
            try:
                recorded = await self._recorded([understood for understood, _ in together])
            except DatabaseUnavailable as error:
                _fail(together, error)
                continue
            except Exception:  # noqa: BLE001 - one outcome caused it, and raises it again alone
                recorded = {}
            for understood, answer in together:
                if not answer.done():
                    answer.set_result(recorded.pop(understood.outcome.sync_id, None))

    async def _recorded(self, outcomes: Sequence[Understood]) -> dict[UUID, Recorded]:
        """Record a batch of outcomes, and hand their events to the relay."""
        with self._relay.slots(ACCOUNT_EVENTS, len(outcomes)) as slots:
            lease = slots.lease if slots.left == len(outcomes) else 0.0
            together = msgspec.structs.replace(self._how, lease=lease)
            async with self._pool.transaction() as connection:
                recorded = await record_all(connection, outcomes, together, wait=False)
            events = [(each.event, each.row) for each in recorded.values() if each.event is not None]
            if recorded and not events:
                self._relay.wake()
            for event, row in events:
                slots.hand_over(event, row)
        return recorded


def _fail(
    together: Sequence[tuple[Understood, asyncio.Future[Recorded | None]]], error: DatabaseUnavailable
) -> None:
    for _, answer in together:
        if not answer.done():
            answer.set_exception(DatabaseUnavailable(str(error)))

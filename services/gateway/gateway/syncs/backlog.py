"""Metrics and checks of the gateway's backlog: outbox, syncs without an outcome, due accounts and days."""

import math

import structlog

from chassis import metrics
from chassis.health import Check
from contracts.exchanges import EXCHANGES
from contracts.streams import ACCOUNT_EVENTS, SYNC_OUTCOMES, SYNC_REQUESTS
from gateway.store.backlog import longest_due, longest_unclosed, oldest_messages, oldest_sync
from gateway.store.pool import DatabaseUnavailable, Pool

SAMPLE_SECONDS = 4.0
# Longer than the relay needs to publish one message, with all retries.
OUTBOX_SECONDS = 30.0
STREAMS = (SYNC_REQUESTS, SYNC_OUTCOMES, ACCOUNT_EVENTS)

log = structlog.get_logger()


class Backlog:
    """Samples the ages of the backlog; all gateways share it, so it only degrades the readiness.

    Without `scheduling` no account is late, because the operator has turned the schedule off.
    """

    def __init__(self, pool: Pool, sync_deadline: float, *, scheduling: bool = True) -> None:
        self._pool = pool
        self._exchanges = list(EXCHANGES) if scheduling else []
        self._patience = sync_deadline / 2
        self._messages: dict[str, float] = dict.fromkeys(STREAMS, 0.0)
        self._sync = 0.0
        self._overdue = 0.0
        self._unclosed = 0.0

    async def sample(self) -> None:
        """Read the ages; unreadable ages are NaN."""
        messages, sync = dict.fromkeys(self._messages, math.nan), math.nan
        overdue, unclosed = math.nan, math.nan
        try:
            async with self._pool.transaction(SAMPLE_SECONDS) as connection:
                oldest, queued = await oldest_messages(connection), await oldest_sync(connection)
                due = await longest_due(connection, self._exchanges)
                waiting = await longest_unclosed(connection)
            messages = dict.fromkeys(messages, 0.0) | {row.stream: row.seconds for row in oldest}
            sync, overdue, unclosed = queued or 0.0, due or 0.0, waiting or 0.0
        except DatabaseUnavailable:
            log.debug("backlog_unknown")
        finally:
            self._messages, self._sync, self._overdue = messages, sync, overdue
            self._unclosed = unclosed
            self._measure()

    def checks(self) -> dict[str, Check]:
        """Return the checks of the ages; unreadable ages pass."""

        async def outbox() -> bool:
            return not any(seconds > OUTBOX_SECONDS for seconds in self._messages.values())

        async def syncs() -> bool:
            return not self._sync > self._patience

        return {"outbox": outbox, "syncs": syncs}

    def _measure(self) -> None:
        for stream, seconds in self._messages.items():
            metrics.OUTBOX_OLDEST.labels(stream).set(seconds)
        metrics.QUEUED_OLDEST.set(self._sync)
        metrics.SCHEDULE_OVERDUE.set(self._overdue)
        metrics.DAYS_OVERDUE.set(self._unclosed)

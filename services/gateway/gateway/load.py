"""Metrics of the database as a gateway sees it: its connections, and the oldest open transaction."""

import math
import time
from collections.abc import Callable

from chassis import metrics
from chassis.standing import Standing
from gateway.store.horizon import horizon
from gateway.store.pool import DatabaseUnavailable, Pool

SAMPLE_SECONDS = 4.0


class Load:
    """Samples the pool and the database's horizon; `monotonic` is a clock in seconds."""

    def __init__(self, pool: Pool, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._oldest = Standing(monotonic)

    async def sample(self) -> None:
        """Count the connections, and measure how long the oldest transaction has been open, else NaN."""
        used, idle, waiting = self._pool.connections()
        metrics.DATABASE_CONNECTIONS.labels("used").set(used)
        metrics.DATABASE_CONNECTIONS.labels("idle").set(idle)
        metrics.DATABASE_WAITING.set(waiting)
        seconds = math.nan
        try:
            async with self._pool.transaction(SAMPLE_SECONDS) as connection:
                seen = await horizon(connection)
            self._oldest.see(seen.floor, seen.waiting)
            seconds = self._oldest.seconds
        except DatabaseUnavailable:
            pass  # the gateway's check of the database reports it
        finally:
            metrics.TRANSACTION_OLDEST.set(seconds)

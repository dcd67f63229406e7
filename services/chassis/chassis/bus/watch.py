"""The metrics of the bus: the progress of consumers, and the number of dead letters."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from chassis import metrics
from chassis.bus.connection import Bus, BusUnavailable
from chassis.bus.inspection import consumer_standing, stream_standing
from chassis.health import Check
from chassis.standing import Standing
from contracts.wire.topology import DEAD_LETTERS, Consumer

# Longer than a message may be retried: the deadline of a sync and one more delivery.
STUCK_SECONDS = 150.0


class Watch:
    """Samples the state of consumers; one without progress for `patience` seconds counts as stuck.

    The service needs the right to ask for each consumer; without it, only its metrics are missing.
    """

    def __init__(
        self,
        bus: Bus,
        consumers: Sequence[Consumer],
        *,
        patience: float = STUCK_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bus = bus
        self._consumers = consumers
        self._patience = patience
        self._standing = {consumer.path: Standing(monotonic) for consumer in consumers}
        for consumer in consumers:
            metrics.CONSUMER_LIMIT.labels(consumer.path).set(consumer.max_ack_pending)

    async def sample(self) -> None:
        """Read the state of every consumer; an unavailable number becomes NaN and is never an old one."""
        await asyncio.gather(*map(self._sample_consumer, self._consumers))

    async def sample_dead_letters(self) -> None:
        """Read the number of dead letters."""
        number = math.nan
        with suppress(BusUnavailable):
            number = (await stream_standing(self._bus, str(DEAD_LETTERS.name))).state.messages
        metrics.DEAD_LETTERS.set(number)

    def checks(self) -> dict[str, Check]:
        """Return a check for each consumer, which fails while it is stuck."""

        def moving(standing: Standing) -> Check:
            async def check() -> bool:
                return standing.seconds < self._patience

            return check

        return {path: moving(standing) for path, standing in self._standing.items()}

    async def _sample_consumer(self, consumer: Consumer) -> None:
        pending, unacknowledged = math.nan, math.nan
        standing = self._standing[consumer.path]
        with suppress(BusUnavailable):
            info = await consumer_standing(self._bus, consumer)
            pending, unacknowledged = info.num_pending, info.num_ack_pending
            standing.see(info.ack_floor.stream_seq, info.waiting)
        metrics.CONSUMER_PENDING.labels(consumer.path).set(pending)
        metrics.CONSUMER_UNACKNOWLEDGED.labels(consumer.path).set(unacknowledged)
        metrics.CONSUMER_STANDING.labels(consumer.path).set(standing.seconds)

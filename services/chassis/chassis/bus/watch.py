"""The metrics of the bus: the progress of consumers, and the number of dead letters."""

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from nats.errors import Error
from nats.js import JetStreamContext

from chassis import metrics
from chassis.bus.connection import Bus, BusUnavailable
from chassis.health import Check
from contracts.wire.topology import DEAD_LETTERS, Consumer

Info = TypeVar("Info")

INFO_SECONDS = 2.0
# Longer than a message may be retried: the deadline of a sync and one more delivery.
STUCK_SECONDS = 150.0
# A server with older rights does not answer a request; we ask it less often.
REST_SECONDS = 60.0


class Standing:
    """Measures how long a consumer makes no progress: its ack floor does not move although messages wait."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._floor = -1
        self._since: float | None = None

    def see(self, floor: int, waiting: int) -> None:
        """Note the ack floor (the last sequence without a gap) and the number of waiting messages."""
        if not waiting:
            self._since = None
        elif self._since is None or floor != self._floor:
            self._since = self._monotonic()
        self._floor = floor

    @property
    def seconds(self) -> float:
        """Return the seconds without progress; 0 while it moves or no message waits."""
        return 0.0 if self._since is None else self._monotonic() - self._since


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
        self._monotonic = monotonic
        self._standing = {consumer.path: Standing(monotonic) for consumer in consumers}
        self._rests_until: dict[str, float] = {}

    async def sample(self) -> None:
        """Read the state of every consumer; an unavailable number becomes NaN and is never an old one."""
        await asyncio.gather(*map(self._sample_consumer, self._consumers))

    async def sample_dead_letters(self) -> None:
        """Read the number of dead letters."""
        name = str(DEAD_LETTERS.name)
        found = await self._asked(name, lambda jetstream: jetstream.stream_info(name))
        metrics.DEAD_LETTERS.set(math.nan if found is None else found.state.messages)

    def checks(self) -> dict[str, Check]:
        """Return a check for each consumer, which fails while it is stuck."""

        def moving(standing: Standing) -> Check:
            async def check() -> bool:
                return standing.seconds < self._patience

            return check

        return {path: moving(standing) for path, standing in self._standing.items()}

    async def _sample_consumer(self, consumer: Consumer) -> None:
        info = await self._asked(
            consumer.path, lambda jetstream: jetstream.consumer_info(consumer.stream, consumer.name)
        )
        pending, unacknowledged = math.nan, math.nan
        standing = self._standing[consumer.path]
        if info is not None:
            pending, unacknowledged = info.num_pending or 0, info.num_ack_pending or 0
            standing.see(info.ack_floor.stream_seq if info.ack_floor else 0, pending + unacknowledged)
        metrics.CONSUMER_PENDING.labels(consumer.path).set(pending)
        metrics.CONSUMER_UNACKNOWLEDGED.labels(consumer.path).set(unacknowledged)
        metrics.CONSUMER_STANDING.labels(consumer.path).set(standing.seconds)

    async def _asked(
        self, name: str, ask: Callable[[JetStreamContext], Coroutine[Any, Any, Info]]
    ) -> Info | None:
        """Ask the server; return None for an unknown name, after a timeout, or if it was silent recently."""
        if self._monotonic() < self._rests_until.get(name, 0.0) or not await self._bus.ready():
            return None
        try:
            return await ask(self._bus.client.jetstream(timeout=INFO_SECONDS))
        except TimeoutError:
            if any(name.lower().replace("/", ".") in question for question in self._bus.refused):
                self._rests_until[name] = self._monotonic() + REST_SECONDS
        except (Error, BusUnavailable):
            pass
        return None

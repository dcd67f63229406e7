"""How far workers and gateways are with the streams of syncs, which tells what is lost and what is late."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import msgspec

from chassis.bus.connection import Bus, BusUnavailable
from chassis.bus.inspection import (
    ConsumerStanding,
    NotGranted,
    StreamStanding,
    consumer_standing,
    stream_standing,
)
from contracts.exchanges import EXCHANGES
from contracts.wire.topology import OUTCOMES_CONSUMER, sync_worker_consumer
from gateway.store.syncs import Held

SYNC_REQUESTS = "SYNC_REQUESTS"
REFUSED_SECONDS = 60.0
# Five minutes of sweeps: what was not handled by then is behind a consumer that is stuck.
LOOKS = 60
LONG_AGO = timedelta(days=365)

Standing = TypeVar("Standing", StreamStanding, ConsumerStanding)


class Queue(msgspec.Struct, frozen=True):
    """The requests of one exchange that wait in the stream.

    What is not among `surely` is lost. What is only not among `probably` is older than the consumer, and may
    be lost: the stream may have come back from a backup then, with other requests in the same places.
    """

    surely: Held
    probably: Held


class Look(msgspec.Struct, frozen=True):
    """Where the streams stood: all was read after `moment`, which is a time of the database's clock.

    `queues` lacks an exchange that the server said nothing of, and has None where it refused to. After
    the outcomes up to `outcomes_seq` are handled, every outcome that was in the stream at `moment`, and
    every outcome whose request the workers had acknowledged by then, is recorded.
    """

    moment: datetime
    queues: dict[str, Queue | None]
    outcomes_seq: int | None


class Progress:
    """Looks at the streams; `handled` is the newest look whose outcomes are all handled."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waiting: deque[Look] = deque(maxlen=LOOKS)
        self._refused: dict[str, tuple[float, NotGranted]] = {}
        self.latest: Look | None = None
        self.handled: Look | None = None

    async def look(self, moment: datetime) -> None:
        """Look once, which takes two seconds at most; what can not be seen is left out."""
        queues = await self._queues(moment)
        outcomes, recorded = await asyncio.gather(
            self._seen("outcomes", partial(stream_standing, self._bus, OUTCOMES_CONSUMER.stream)),
            self._seen("recorded", partial(consumer_standing, self._bus, OUTCOMES_CONSUMER)),
        )
        seq = outcomes.state.last_seq if isinstance(outcomes, StreamStanding) else None
        self.latest = Look(moment, queues, seq)
        self._note(self.latest)
        if isinstance(recorded, ConsumerStanding):
            self._advance(self.latest, recorded)

    async def _queues(self, moment: datetime) -> dict[str, Queue | None]:
        workers = {exchange: sync_worker_consumer(exchange) for exchange in EXCHANGES}
        stream, *consumers = await asyncio.gather(
            self._seen("requests", partial(stream_standing, self._bus, SYNC_REQUESTS)),
            *(
                self._seen(each.name, partial(consumer_standing, self._bus, each))
                for each in workers.values()
            ),
        )
        queues: dict[str, Queue | None] = {}
        for exchange, consumer in zip(workers, consumers, strict=True):
            if isinstance(stream, StreamStanding) and isinstance(consumer, ConsumerStanding):
                queues[exchange] = _queue(moment, stream, consumer)
            elif isinstance(stream, NotGranted) or isinstance(consumer, NotGranted):
                queues[exchange] = None
        return queues

    def _note(self, look: Look) -> None:
        """Remember a look until its outcomes are handled; a stream that began anew has none of before."""
        if look.outcomes_seq is None:
            return
        known = [each for each in self._waiting if (each.outcomes_seq or 0) <= look.outcomes_seq]
        self._waiting = deque([*known, look], maxlen=LOOKS)

    def _advance(self, look: Look, recorded: ConsumerStanding) -> None:
        if recorded.drained:
            self.handled = look
            self._waiting.clear()
        while self._waiting and (self._waiting[0].outcomes_seq or 0) <= recorded.ack_floor.stream_seq:
            self.handled = self._waiting.popleft()

    async def _seen(self, name: str, ask: Callable[[], Awaitable[Standing]]) -> Standing | NotGranted | None:
        """Ask; None when no answer came. What is refused is not asked again for a minute."""
        if (refusal := self._refused.get(name)) is not None and time.monotonic() < refusal[0]:
            return refusal[1]
        try:
            return await ask()
        except NotGranted as refused:
            self._refused[name] = (time.monotonic() + REFUSED_SECONDS, refused)
            return refused
        except BusUnavailable:
            return None


def _queue(moment: datetime, stream: StreamStanding, consumer: ConsumerStanding) -> Queue:
    """Tell which requests wait: those that are in the stream and not settled, since there is this stream."""
    above = max(consumer.ack_floor.stream_seq, stream.state.first_seq - 1)
    since = _since(moment, stream.age)
    return Queue(
        surely=Held(above, stream.state.last_seq, since),
        probably=Held(above, stream.state.last_seq, max(since, _since(moment, consumer.age))),
    )


def _since(moment: datetime, age: timedelta) -> datetime:
    """Tell by the database's clock since when something exists; ages do not depend on what clocks say.

    The age is asked for after the moment, so that this is never later than the truth. After the server's
    clock was set back behind the creation, nothing can be told.
    """
    return moment - age if age >= timedelta(0) else moment - LONG_AGO

"""The progress of workers and gateways in the sync streams, to find lost requests and late outcomes."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Mapping
from datetime import datetime, timedelta

import msgspec

from chassis.bus.connection import Bus, BusUnavailable
from chassis.bus.inspection import (
    ConsumerStanding,
    NotGranted,
    Standing,
    StreamStanding,
    consumer_standing,
    stream_standing,
)
from contracts.exchanges import EXCHANGES
from contracts.wire.topology import OUTCOMES_CONSUMER, scheduled_consumer, sync_worker_consumer
from gateway.rows.syncs import Held

SYNC_REQUESTS = "SYNC_REQUESTS"
# Five minutes of sweeps: an outcome not handled by then waits behind a stuck consumer.
LOOKS = 60
LONG_AGO = timedelta(days=365)
# Longer than a try of a sync, which holds a slot of a worker.
TAKEN_WITHIN = timedelta(seconds=30)

Seen = StreamStanding | ConsumerStanding | BusUnavailable


class Queue(msgspec.Struct, frozen=True):
    """The requests of one exchange that wait in the stream for one consumer.

    A request outside `surely` is lost. A request in `surely` but outside `probably` is older than the
    consumer and may be lost: the stream may have been restored from a backup, with other requests at its
    sequences.
    """

    surely: Held
    probably: Held


class Look(msgspec.Struct, frozen=True):
    """The state of the streams, read after `moment`, a time of the database's clock.

    `queues` lacks an exchange if the server did not answer, and has None if it denied the request. After the
    outcomes up to `outcomes_seq` are handled, every outcome in the stream at `moment`, and every outcome
    whose request the workers had acknowledged by then, is recorded. `scheduled` is like `queues`, for the
    requests of the schedule.
    """

    moment: datetime
    queues: dict[str, Queue | None]
    outcomes_seq: int | None
    scheduled: dict[str, Queue | None]

    def answered(self, exchange: str, *, scheduled: bool) -> bool:
        """Return whether the server answered for a consumer of an exchange, even that it denies this."""
        return exchange in (self.scheduled if scheduled else self.queues)

    def of(self, exchange: str, *, scheduled: bool) -> Queue | None:
        """Return the waiting requests of an exchange; None if they are unknown."""
        return (self.scheduled if scheduled else self.queues).get(exchange)


class Progress:
    """Reads the state of the streams; `handled` is the newest look whose outcomes are all handled."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waiting: deque[Look] = deque(maxlen=LOOKS)
        self.latest: Look | None = None
        self.handled: Look | None = None

    async def look(self, moment: datetime) -> None:
        """Read the state once, in two seconds at most; states without an answer are left out."""
        queues, scheduled = await self._queues(moment)
        outcomes, recorded = await asyncio.gather(
            _seen(stream_standing(self._bus, OUTCOMES_CONSUMER.stream)),
            _seen(consumer_standing(self._bus, OUTCOMES_CONSUMER)),
        )
        seq = outcomes.state.last_seq if isinstance(outcomes, StreamStanding) else None
        self.latest = Look(moment, queues, seq, scheduled)
        self._note(self.latest)
        if isinstance(recorded, ConsumerStanding):
            self._advance(self.latest, recorded)

    async def _queues(self, moment: datetime) -> tuple[dict[str, Queue | None], dict[str, Queue | None]]:
        """Return the waiting requests of persons and of the schedule, by exchange."""
        workers = [sync_worker_consumer(key) for key in EXCHANGES]
        workers += [scheduled_consumer(key) for key in EXCHANGES]
        stream, *seen = await asyncio.gather(
            _seen(stream_standing(self._bus, SYNC_REQUESTS)),
            *(_seen(consumer_standing(self._bus, each)) for each in workers),
        )
        persons = dict(zip(EXCHANGES, seen[: len(EXCHANGES)], strict=True))
        scheduled = dict(zip(EXCHANGES, seen[len(EXCHANGES) :], strict=True))
        waiting = _queues(moment, stream, scheduled)
        for exchange, consumer in scheduled.items():
            if waiting.get(exchange) and _is_ignored(persons[exchange], consumer):
                waiting[exchange] = _nothing(moment)
        return _queues(moment, stream, persons), waiting

    def _note(self, look: Look) -> None:
        """Keep a look until its outcomes are handled; drop earlier looks if the stream was recreated."""
        if look.outcomes_seq is None:
            return
        known = [each for each in self._waiting if (each.outcomes_seq or 0) <= look.outcomes_seq]
        self._waiting = deque([*known, look], maxlen=LOOKS)

    def _advance(self, look: Look, recorded: ConsumerStanding) -> None:
        if not recorded.waiting:
            self.handled = look
            self._waiting.clear()
        while self._waiting and (self._waiting[0].outcomes_seq or 0) <= recorded.ack_floor.stream_seq:
            self.handled = self._waiting.popleft()


async def room_for_scheduled(bus: Bus, exchange: str, most: int) -> int:
    """Return how many more requests of the schedule may wait for the workers, of `most`.

    None may while the server does not say how many wait, or no worker has a free slot for one.
    """
    consumer = await _seen(consumer_standing(bus, scheduled_consumer(exchange)))
    if not isinstance(consumer, ConsumerStanding) or not consumer.is_asked:
        return 0
    return most - consumer.waiting


async def _seen(asking: Awaitable[Standing]) -> Standing | BusUnavailable:
    """Return the state that the server reports, or the error that prevented it."""
    try:
        return await asking
    except BusUnavailable as unavailable:
        return unavailable


def _queues(moment: datetime, stream: Seen, consumers: Mapping[str, Seen]) -> dict[str, Queue | None]:
    """Return the waiting requests by exchange: None where the server denied, none where it did not answer."""
    queues: dict[str, Queue | None] = {}
    for exchange, consumer in consumers.items():
        if isinstance(stream, StreamStanding) and isinstance(consumer, ConsumerStanding):
            queues[exchange] = _queue(moment, stream, consumer)
        elif isinstance(stream, NotGranted) or isinstance(consumer, NotGranted):
            queues[exchange] = None
    return queues


def _is_ignored(person: Seen, schedule: Seen) -> bool:
    """Return whether workers take the requests of persons only: they are of the version before."""
    return (
        isinstance(person, ConsumerStanding)
        and isinstance(schedule, ConsumerStanding)
        and person.is_pulled(TAKEN_WITHIN)
        and not schedule.is_pulled(TAKEN_WITHIN)
    )


def _nothing(moment: datetime) -> Queue:
    """Return a queue in which no request waits."""
    return Queue(Held(0, 0, moment), Held(0, 0, moment))


def _queue(moment: datetime, stream: StreamStanding, consumer: ConsumerStanding) -> Queue:
    """Return the waiting requests: those in the stream and not acknowledged, since the stream was created."""
    above = max(consumer.ack_floor.stream_seq, stream.state.first_seq - 1)
    since = _since(moment, stream.age)
    return Queue(
        surely=Held(above, stream.state.last_seq, since),
        probably=Held(above, stream.state.last_seq, max(since, _since(moment, consumer.age))),
    )


def _since(moment: datetime, age: timedelta) -> datetime:
    """Return the creation time by the database's clock, from an age that the server measured.

    The age is read after `moment`, so the result is never later than the real creation. A negative age means
    that the server's clock was set back before the creation; then the time is unknown and LONG_AGO is used.
    """
    return moment - age if age >= timedelta(0) else moment - LONG_AGO

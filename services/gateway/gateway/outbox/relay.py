"""The relay: the only publisher of the gateway's outbox."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import msgspec
import structlog

from chassis import tracing
from chassis.bus.connection import Bus, BusUnavailable, MessageRefused
from contracts.streams import ACCOUNT_EVENTS
from gateway.outbox.lanes import LONGEST_DELAY_REFUSED, LONGEST_DELAY_SILENT, PLACES, Answer, Lane, delay
from gateway.outbox.wake import Wake
from gateway.rows.outbox import Claimed, Outgoing
from gateway.rows.syncs import Publication
from gateway.store import outbox, publications
from gateway.store.pool import TRANSACTION_SECONDS, DatabaseUnavailable, Pool

POLL_SECONDS = 1.0
PAUSE_SECONDS = 2.0
# Longer than one publish takes, far shorter than the streams' duplicate window (10 minutes).
LEASE_SECONDS = 10.0
GIVE_BACK_SECONDS = 1.0

log = structlog.get_logger()


class Slots:
    """Slots of one stream, for messages that are written as claimed by this relay.

    A message with a slot is written with the lease, and handed over after the commit.
    """

    def __init__(self, start: Callable[[Claimed], None], lane: Lane, left: int) -> None:
        self._start, self._lane = start, lane
        self.left = left

    @property
    def lease(self) -> float:
        """Return the seconds of the lease for the next message; 0 without a slot, for any relay to claim."""
        return LEASE_SECONDS if self.left else 0.0

    def hand_over(self, message: Outgoing, row: int, seconds_left: float | None = None) -> None:
        """Publish a committed message that has a slot; `row` is its id in the outbox."""
        self.left -= 1
        self._lane.reserved -= 1
        said = msgspec.structs.asdict(message) | {"traceparent": message.traceparent or tracing.traceparent()}
        self._start(Claimed(**said, id=row, attempts=1, seconds_left=seconds_left))


class Relay:
    """Publishes the outbox as soon as it is woken and at least once a second, each stream separately.

    The relay does not publish inside a transaction: it claims rows for a lease, publishes, then deletes the
    confirmed messages and postpones the rest. If the relay dies, its lease ends and another relay publishes;
    the streams drop duplicates.
    """

    def __init__(self, pool: Pool, bus: Bus) -> None:
        self._pool = pool
        self._bus = bus
        self._bell = Wake()
        self._lanes: defaultdict[str, Lane] = defaultdict(Lane)
        self._tasks = asyncio.TaskGroup()
        self._running = False

    def wake(self) -> None:
        """Wake the relay after a transaction with outbox rows was committed."""
        self._bell.ring()

    @contextmanager
    def slots(self, stream: str, wanted: int) -> Iterator["Slots"]:
        """Reserve slots of a stream for messages that the caller's transaction writes as claimed.

        As many as the stream has free, and none while the relay does not run.
        """
        lane = self._lanes[stream]
        free = lane.reserve(wanted) if self._running and self._bus.connected else 0
        slots = Slots(self._start, lane, free)
        try:
            yield slots
        finally:
            lane.reserved -= slots.left

    async def run(self) -> None:
        """Publish for ever; when cancelled, release the claimed messages to other relays at once."""
        try:
            async with self._tasks:
                self._running = True
                while True:
                    await self._bell.wait(POLL_SECONDS)
                    await self._publish_due()
        finally:
            self._running = False
            with suppress(DatabaseUnavailable):
                await self._give_back()

    async def _publish_due(self) -> None:
        if not await self._bus.ready():
            return
        places = {stream: lane.places() for stream, lane in self._lanes.items()}
        try:
            async with self._pool.transaction() as connection:
                claimed = await outbox.claim(connection, places, PLACES, LEASE_SECONDS)
        except Exception as error:  # noqa: BLE001 - any error; the next claim may succeed
            await self._wait(error)
            return
        counts = Counter(message.stream for message in claimed)
        for message in sorted(claimed, key=_urgency):
            self._start(message)
        for stream, lane in self._lanes.items():
            lane.more = counts[stream] >= places.get(stream, PLACES)

    def _start(self, message: Claimed) -> None:
        lane = self._lanes[message.stream]
        if message.id in lane.claimed:  # its lease ended before it was settled
            return
        lane.claimed[message.id] = message
        publishing = self._publish(lane, message)
        try:
            self._tasks.create_task(publishing, context=tracing.outside())
        except RuntimeError:  # the relay is shutting down and releases its claims
            publishing.close()

    async def _publish(self, lane: Lane, message: Claimed) -> None:
        was_silent = lane.silent
        lane.answered(await self._tried(message))
        if lane.silent != was_silent:
            log.warning("stream_silent" if lane.silent else "stream_answers", stream=message.stream)
        if not lane.settling:
            lane.settling = True
            settling = self._settle(lane)
            try:
                self._tasks.create_task(settling)
            except RuntimeError:  # the relay is shutting down and releases its claims
                settling.close()

    async def _tried(self, message: Claimed) -> Answer:
        """Publish a message once; returns the result, also after any exception."""
        try:
            seq = await self._publish_traced(message)
        except MessageRefused as error:
            reason = str(error)
        except BusUnavailable:
            return Answer(message, delay=delay(message.attempts, LONGEST_DELAY_SILENT), silent=True)
        except Exception as error:
            # One message that can not be published must not stop the publishing of all others.
            log.exception("message_not_publishable", message_id=message.message_id)
            reason = type(error).__name__
        else:
            return Answer(message, seq)
        return Answer(message, delay=delay(message.attempts, LONGEST_DELAY_REFUSED), reason=reason)

    async def _publish_traced(self, message: Claimed) -> int:
        """Publish a message as a part of the trace that its row names."""
        caused_by = tracing.place_of(message.traceparent)
        name, stream = f"publish {message.stream}", message.stream
        with tracing.span(name, tracing.Kind.PRODUCER, parent=caused_by, stream=stream):
            headers = {**message.stamped(), **tracing.headers()}
            return await self._bus.publish_once(
                message.subject, stream, message.body, message.message_id, headers
            )

    async def _settle(self, lane: Lane) -> None:
        """Store results in batches until all are stored."""
        while answers := list(lane.answers):
            try:
                await _write(self._pool, answers)
            except Exception as error:  # noqa: BLE001 - any error; at the latest the lease ends
                await self._wait(error)
                continue
            _report(answers)
            rest = lane.settled(answers)
            if lane.more:
                asyncio.get_running_loop().call_later(rest, self._bell.ring)
        lane.settling = False

    async def _give_back(self) -> None:
        """Store the results, and release the remaining messages to other relays before the lease ends."""
        answers = [answer for lane in self._lanes.values() for answer in lane.answers]
        answered = {answer.message.id for answer in answers}
        left = [message for lane in self._lanes.values() for message in lane.claimed.values()]
        answers += [Answer(message) for message in left if message.id not in answered]
        if answers:
            await _write(self._pool, answers, GIVE_BACK_SECONDS)

    async def _wait(self, error: Exception) -> None:
        if isinstance(error, DatabaseUnavailable):
            log.warning("relay_waits", reason=str(error))
        else:
            log.error("relay_failed", exc_info=error)
        await asyncio.sleep(PAUSE_SECONDS)


async def _write(pool: Pool, answers: list[Answer], seconds: float = TRANSACTION_SECONDS) -> None:
    """Delete the messages that the streams confirmed, and postpone the rest."""
    confirmed = [(answer.message, answer.seq) for answer in answers if answer.seq is not None]
    places = {
        Publication(message.sync_id, int(message.message_id.rpartition(":")[2])): seq
        for message, seq in confirmed
        if message.sync_id is not None
    }
    rows = [message.id for message, _ in confirmed]
    if rows:
        await pool.single(partial(publications.confirm, rows=rows, places=places), seconds, waits=True)
    if delays := [(answer.message, answer.delay) for answer in answers if answer.seq is None]:
        await pool.single(partial(outbox.put_off, delays=delays), seconds, waits=True)


def _report(answers: list[Answer]) -> None:
    """Log all refusals in one line; refused messages are retried with growing delays."""
    refused = [answer for answer in answers if answer.reason]
    if refused:
        message, reason = refused[0].message, refused[0].reason
        log.warning("messages_refused", count=len(refused), message_id=message.message_id, reason=reason)


def _urgency(message: Claimed) -> tuple[bool, int]:
    """Put requests and outcomes before events, and older messages before newer ones."""
    return message.stream == ACCOUNT_EVENTS, message.id

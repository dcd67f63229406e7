"""Pull one message of a durable consumer per free slot; pause while disconnected."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.errors import FetchTimeoutError

from contracts.wire.topology import MIB, Consumer

# A shutdown waits for the end of a fetch, because a message may be on its way.
FETCH_SECONDS = 1.0
# The interval of the server's heartbeats while no message comes; without them the server is unreachable.
HEARTBEAT_SECONDS = 0.4
# Messages that the server sent while a fetch ended arrive within this time.
LATE_SECONDS = 0.1
PAUSE_SECONDS = 1.0
INFO_SECONDS = 2.0
# Longer than a fetch and a pause: a loop without a turn for this long hangs.
TURN_SECONDS = 15.0
# The limits of one fetch while more messages wait: by number, and by the size of the last messages.
MOST_AT_ONCE = 32
MOST_BYTES_AT_ONCE = 8 * MIB

Pulling = JetStreamContext.PullSubscription

log = structlog.get_logger()


class Pull:
    """Passes the messages of a consumer to `handle`, at most `places` of them at a time.

    It fetches a message only for a free slot, so handling begins at once. If the consumer was deleted it asks
    once a second until the consumer is created again. While `takes` returns False it fetches no messages, and
    gives back those it has received.
    """

    def __init__(
        self,
        consumer: Consumer,
        handle: Callable[[Msg], Awaitable[None]],
        places: int,
        takes: Callable[[], bool] = lambda: True,
    ) -> None:
        self.name = consumer.path
        self._consumer = consumer
        self._handle = handle
        self._takes = takes
        self._places = asyncio.Semaphore(places)
        self._full = False
        self._begun: set[asyncio.Task[None]] = set()
        self._at_once = 1
        self._turned = time.monotonic()
        self._trouble = ""
        self._stopping = False
        self._resting: asyncio.Task[None] | None = None

    async def run(self, client: Client) -> None:
        """Pull until stopped; never cancels a fetch, because it may hold a message."""
        pulling = await client.jetstream().pull_subscribe_bind(self._consumer.name, self._consumer.stream)
        try:
            while not self._stopping:
                self._full = self._places.locked()
                await self._rest(self._places.acquire())
                self._full, self._turned = False, time.monotonic()
                await self._turn(client, pulling, await self._places_taken())
        finally:
            with suppress(Error):
                await self._give_back_late(pulling)
                await pulling.unsubscribe()

    def stop(self) -> None:
        """Stop fetching; the loop ends when its current fetch ends."""
        self._stopping = True
        if self._resting is not None:
            self._resting.cancel()

    async def end(self, seconds: float) -> None:
        """Let running handlers end, and cancel those that take longer than `seconds`."""
        if self._begun:
            await asyncio.wait(self._begun, timeout=seconds)
        for task in self._begun:
            task.cancel()
        if self._begun:
            await asyncio.wait(self._begun)

    async def ready(self, client: Client) -> bool:
        """Return whether the loop turns; raises nats.errors.Error if the server lacks the consumer."""
        await client.jetstream(timeout=INFO_SECONDS).consumer_info(self._consumer.stream, self._consumer.name)
        return self._full or time.monotonic() - self._turned < TURN_SECONDS

    async def _rest(self, until: Coroutine[Any, Any, Any]) -> None:
        """Await something; `stop` cancels the loop only here."""
        self._resting = asyncio.current_task()
        try:
            await until
        finally:
            self._resting = None

    async def _places_taken(self) -> int:
        """Take more slots if messages wait; return the number of slots, including that of the caller."""
        taken = 1
        while taken < self._at_once and not self._places.locked():
            await self._places.acquire()
            taken += 1
        return taken

    async def _turn(self, client: Client, pulling: Pulling, places: int) -> None:
        """Fetch messages and begin to handle them, free unused slots, and pause after a failure."""
        began = time.monotonic()
        # Requests sent while disconnected would all be answered at once after the reconnect.
        asks = self._takes() and client.is_connected
        messages = await self._fetched(pulling, places) if asks else []
        begun = messages[:places] if self._takes() and not self._stopping else []
        for message in begun:
            self._begin(message)
        for message in messages[len(begun) :]:
            await _give_back(message)
        for _ in range(places - len(begun)):
            self._places.release()
        self._at_once = _more(messages)
        if not self._takes():
            await self._give_back_late(pulling)
        if not begun and time.monotonic() - began < FETCH_SECONDS / 2 and not self._stopping:
            await self._rest(asyncio.sleep(PAUSE_SECONDS))

    async def _fetched(self, pulling: Pulling, number: int) -> list[Msg]:
        """Fetch up to `number` messages, none after a timeout, and note whether the server answers."""
        trouble, messages = "", list[Msg]()
        # Of a larger fetch that finds late messages first, nats-py asks for the rest with a request that the
        # server refuses, and drops the messages that it found.
        wanted = 1 if pulling.pending_msgs else number
        try:
            messages = await pulling.fetch(wanted, FETCH_SECONDS, HEARTBEAT_SECONDS)
        except FetchTimeoutError:
            pass
        except TimeoutError:
            trouble = "no answer"
        except Error as error:
            trouble = type(error).__name__
        self._note(trouble)
        return messages

    def _begin(self, message: Msg) -> None:
        task = asyncio.create_task(self._handled(message))
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)

    async def _handled(self, message: Msg) -> None:
        try:
            await self._handle(message)
        finally:
            self._places.release()

    async def _give_back_late(self, pulling: Pulling) -> None:
        """Give back messages that came after their fetch had ended; only the next fetch would find them."""
        with suppress(TimeoutError):
            while True:  # the server sends no more messages than requested
                late = await pulling._sub.next_msg(LATE_SECONDS)  # a fetch would request more
                if not JetStreamContext.is_status_msg(late):
                    await _give_back(late)

    def _note(self, trouble: str) -> None:
        """Log when pulling stops or resumes."""
        if trouble and trouble != self._trouble:
            log.warning("pulling_stopped", consumer=self.name, reason=trouble)
        elif self._trouble and not trouble:
            log.info("pulling_resumed", consumer=self.name)
        self._trouble = trouble


async def _give_back(message: Msg) -> None:
    """Give a message to another process at once, or after the ack wait if the connection is lost."""
    with suppress(Error):
        await message.nak()


def _more(messages: Sequence[Msg]) -> int:
    """Return how many messages to fetch next: one, or more if the last message reports waiting ones."""
    if not messages:
        return 1
    largest = max(len(message.data) for message in messages)
    waiting = min(messages[-1].metadata.num_pending, MOST_AT_ONCE, MOST_BYTES_AT_ONCE // max(largest, 1))
    return max(waiting, 1)

"""Pulling a durable consumer: a message for each free place, and nothing while the bus is away."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.api import StatusCode
from uuid_utils.compat import uuid7

from contracts.wire.topology import Consumer

# A stop waits for the end of what was asked: the server may be handing over a message at that moment.
FETCH_SECONDS = 1.0
# The server answers when nothing came, too; one that does not by then does not answer.
SILENCE_SECONDS = FETCH_SECONDS + 1.0
PAUSE_SECONDS = 1.0
INFO_SECONDS = 2.0
# Longer than a request and a pause: a loop that has not turned since then hangs.
TURN_SECONDS = 15.0

CAME, GIVEN_BACK, SHUT = "", "given back", "shut"
NOTHING = (StatusCode.NO_MESSAGES, StatusCode.REQUEST_TIMEOUT)
# While messages come as fast as they are asked for, up to so many are asked for at once.
MOST_AT_ONCE = 32
BACKLOG_SECONDS = 0.1
# A message that is given back while more are asked for must not come back to the same process at once.
GIVEN_BACK_DELAY = 1.0

log = structlog.get_logger()


class _Asked:
    """A pull request: the number of messages asked for, how many came, and how the server ended it."""

    def __init__(self, messages: int) -> None:
        self.messages = messages
        self.came = 0
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def end(self, said: str) -> None:
        """Note how it ended, once."""
        if not self.ended.done():
            self.ended.set_result(said)


class Pull:
    """Hands the messages of a consumer to `handle`, at most `places` of them at a time.

    It asks for messages only when there are places for them: what is handed over is begun at once. When the
    consumer is gone it asks once a second until somebody makes it anew. While `takes` denies it asks for
    nothing, and what it was handed goes to another process.
    """

    def __init__(
        self,
        consumer: Consumer,
        handle: Callable[[Msg], Awaitable[None]],
        places: int,
        inbox_prefix: str,
        takes: Callable[[], bool] = lambda: True,
    ) -> None:
        self.name = consumer.path
        self._consumer = consumer
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{consumer.stream}.{consumer.name}"
        self._handle = handle
        self._takes = takes
        self._places = asyncio.Semaphore(places)
        self._full = False
        self._inbox = f"{inbox_prefix}{uuid7()}"
        self._begun: set[asyncio.Task[None]] = set()
        self._asked: _Asked | None = None
        self._at_once = 1
        self._turned = time.monotonic()
        self._trouble = ""
        self._stopping = False
        self._loop: asyncio.Task[None] | None = None

    async def run(self, client: Client) -> None:
        """Pull until stopped; what was asked for and comes only then goes to another process at once."""
        self._loop = asyncio.current_task()
        subscription = await client.subscribe(self._inbox, cb=self._on_message)
        try:
            while not self._stopping:
                self._full = self._places.locked()
                await self._places.acquire()
                self._full, self._turned = False, time.monotonic()
                await self._ask(client, await self._places_taken())
        finally:
            with suppress(Error):
                await subscription.unsubscribe()

    def stop(self) -> None:
        """Ask for no more; the loop ends as soon as the server has answered what it was asked."""
        self._stopping = True
        if self._asked is None and self._loop is not None:
            self._loop.cancel()

    async def end(self, seconds: float) -> None:
        """Let what was begun end, and cut off what takes longer."""
        if self._begun:
            await asyncio.wait(self._begun, timeout=seconds)
        for task in self._begun:
            task.cancel()
        if self._begun:
            await asyncio.wait(self._begun)

    async def ready(self, client: Client) -> bool:
        """Tell whether the loop turns and the server has the consumer; raises nats.errors.Error."""
        await client.jetstream(timeout=INFO_SECONDS).consumer_info(self._consumer.stream, self._consumer.name)
        return self._full or time.monotonic() - self._turned < TURN_SECONDS

    async def _places_taken(self) -> int:
        """Take more places where messages wait; gives how many there are, that of the caller included."""
        taken = 1
        while taken < self._at_once and not self._places.locked():
            await self._places.acquire()
            taken += 1
        return taken

    async def _ask(self, client: Client, messages: int) -> None:
        """Ask for messages, free the places of those that did not come, and rest where that came too soon."""
        began, asked = time.monotonic(), _Asked(messages)
        if not self._takes():
            said = SHUT
        elif not client.is_connected:
            # What is asked while the bus is away would all be answered at once when it is back.
            said = "not connected"
        else:
            said = await self._answered(client, asked)
        for _ in range(messages - asked.came):
            self._places.release()
        took = time.monotonic() - began
        self._at_once = min(2 * messages, MOST_AT_ONCE) if said == CAME and took < BACKLOG_SECONDS else 1
        self._note("" if asked.came or said in {CAME, GIVEN_BACK, *NOTHING} else said)
        if not asked.came and took < FETCH_SECONDS / 2 and not self._stopping:
            await asyncio.sleep(PAUSE_SECONDS)

    async def _answered(self, client: Client, asked: _Asked) -> str:
        """Wait until all came, or the server says why not; what comes later is given back."""
        request = {"batch": asked.messages, "expires": int(FETCH_SECONDS * 1e9)}
        self._asked = asked
        try:
            await client.publish(self._subject, msgspec.json.encode(request), reply=self._inbox)
            async with asyncio.timeout(SILENCE_SECONDS):
                return await asked.ended
        except TimeoutError:
            return "no answer"
        except Error as error:
            return type(error).__name__
        finally:
            self._asked = None

    async def _on_message(self, message: Msg) -> None:
        """Begin what was asked for, here and not in the loop, which could lose it when it is cancelled."""
        asked, status = self._asked, JetStreamContext.is_status_msg(message)
        if status:
            if asked is not None:
                asked.end(status)
            return
        if asked is None or asked.came == asked.messages or self._stopping or not self._takes():
            await message.nak(delay=GIVEN_BACK_DELAY if asked is not None and asked.messages > 1 else None)
            if asked is not None and asked.messages == 1:
                asked.end(GIVEN_BACK)
            return
        asked.came += 1
        task = asyncio.create_task(self._handled(message))
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)
        if asked.came == asked.messages:
            asked.end(CAME)

    async def _handled(self, message: Msg) -> None:
        try:
            await self._handle(message)
        finally:
            self._places.release()

    def _note(self, trouble: str) -> None:
        """Say when pulling stops or goes on."""
        if trouble and trouble != self._trouble:
            log.warning("pulling_stopped", consumer=self.name, reason=trouble)
        elif self._trouble and not trouble:
            log.info("pulling_resumed", consumer=self.name)
        self._trouble = trouble

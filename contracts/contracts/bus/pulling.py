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

from contracts.bus.topology import Consumer

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
REQUEST = msgspec.json.encode({"batch": 1, "expires": int(FETCH_SECONDS * 1e9)})

log = structlog.get_logger()


class Pull:
    """Hands the messages of a consumer to `handle`, at most `places` of them at a time.

    It asks for a message only when there is a place for it: what is handed over is begun at once. When the
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
        self._answer: asyncio.Future[str] | None = None
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
                if await self._ask(client) != CAME:
                    self._places.release()
        finally:
            with suppress(Error):
                await subscription.unsubscribe()

    def stop(self) -> None:
        """Ask for no more; the loop ends as soon as the server has answered what it was asked."""
        self._stopping = True
        if self._answer is None and self._loop is not None:
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

    async def _ask(self, client: Client) -> str:
        """Ask once, and rest where the answer came sooner than it should; gives CAME, or why nothing did."""
        asked = time.monotonic()
        if not self._takes():
            said = SHUT
        elif not client.is_connected:
            # What is asked while the bus is away would all be answered at once when it is back.
            said = "not connected"
        else:
            said = await self._answered(client)
        self._note("" if said in {CAME, GIVEN_BACK, *NOTHING} else said)
        if said != CAME and time.monotonic() - asked < FETCH_SECONDS / 2 and not self._stopping:
            await asyncio.sleep(PAUSE_SECONDS)
        return said

    async def _answered(self, client: Client) -> str:
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._answer = answer
        try:
            await client.publish(self._subject, REQUEST, reply=self._inbox)
            async with asyncio.timeout(SILENCE_SECONDS):
                return await answer
        except TimeoutError:
            return "no answer"
        except Error as error:
            return type(error).__name__
        finally:
            self._answer = None

    async def _on_message(self, message: Msg) -> None:
        """Begin what was asked for, here and not in the loop, which could lose it when it is cancelled."""
        answer, status = self._answer, JetStreamContext.is_status_msg(message)
        waited_for = answer is not None and not answer.done()
        taken = waited_for and not self._stopping and self._takes()
        if not status and taken:
            task = asyncio.create_task(self._handled(message))
            self._begun.add(task)
            task.add_done_callback(self._begun.discard)
        elif not status:
            await message.nak()
        if answer is not None and waited_for:
            answer.set_result(status or (CAME if taken else GIVEN_BACK))

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

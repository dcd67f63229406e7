"""Pulling a durable consumer: a message for each free place, and nothing while the bus is away."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.errors import TimeoutError as NothingCame
from nats.js import JetStreamContext
from nats.js.errors import APIError

from contracts.bus.topology import Consumer

FETCH_SECONDS = 5.0
PAUSE_SECONDS = 1.0
INFO_SECONDS = 2.0
# Longer than a fetch and a pause: a loop that has not turned since then hangs.
TURN_SECONDS = 15.0

log = structlog.get_logger()

Subscription = JetStreamContext.PullSubscription


class Pull:
    """Hands the messages of a consumer to `handle`, at most `places` of them at a time.

    It asks for a message only when there is a place for it: what is handed over is begun at once. When the
    consumer is gone it asks once a second until somebody makes it anew.
    """

    def __init__(
        self, consumer: Consumer, handle: Callable[[Msg], Awaitable[None]], places: int, inbox_prefix: str
    ) -> None:
        self.name = f"{consumer.stream}/{consumer.name}"
        self._consumer = consumer
        self._handle = handle
        self._places = asyncio.Semaphore(places)
        self._inbox_prefix = inbox_prefix.encode()
        self._begun: set[asyncio.Task[None]] = set()
        self._turned = time.monotonic()
        self._trouble = ""

    async def run(self, client: Client) -> None:
        """Pull until cancelled; what came and was not begun goes to another process at once."""
        subscription = await client.jetstream().pull_subscribe_bind(
            self._consumer.name, self._consumer.stream, inbox_prefix=self._inbox_prefix
        )
        try:
            while True:
                await self._places.acquire()
                message = await self._next(client, subscription)
                if message is None:
                    self._places.release()
                else:
                    self._begin(message)
        finally:
            await _give_back(subscription)

    async def end(self, seconds: float) -> None:
        """Let what was begun end, and cut off what takes longer."""
        if self._begun:
            await asyncio.wait(self._begun, timeout=seconds)
        for task in self._begun:
            task.cancel()

    async def ready(self, client: Client) -> bool:
        """Tell whether the loop turns and the server has the consumer; raises nats.errors.Error."""
        if self._places.locked():
            self._turned = time.monotonic()  # it waits for a place, as it should
        await client.jetstream(timeout=INFO_SECONDS).consumer_info(self._consumer.stream, self._consumer.name)
        return time.monotonic() - self._turned < TURN_SECONDS

    async def _next(self, client: Client, subscription: Subscription) -> Msg | None:
        """Ask once; None when nothing came, after a pause where that was sooner than it should be."""
        self._turned = asked = time.monotonic()
        trouble = "not connected"
        if client.is_connected:  # what is asked meanwhile would all be answered at once
            try:
                (message,) = await subscription.fetch(1, timeout=FETCH_SECONDS)
            except NothingCame:
                trouble = ""
            except (Error, APIError) as error:
                trouble = type(error).__name__
            else:
                self._note("")
                return message
        self._note(trouble)
        if trouble or time.monotonic() - asked < PAUSE_SECONDS:
            await asyncio.sleep(PAUSE_SECONDS)
        return None

    def _begin(self, message: Msg) -> None:
        task = asyncio.create_task(self._handled(message))
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)

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


async def _give_back(subscription: Subscription) -> None:
    """Ask for no more, and let another process have at once what lies here."""
    arrived = subscription._sub._pending_queue
    with suppress(Error):
        await subscription.unsubscribe()
    while not arrived.empty():
        message: Msg = arrived.get_nowait()
        if not JetStreamContext.is_status_msg(message):
            with suppress(Error):
                await message.nak()

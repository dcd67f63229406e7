"""A relay that ends while the bus confirms a message loses no confirmation."""

import asyncio
from contextlib import suppress

from chassis.bus.connection import Bus
from contracts.values import Secret
from deploy.bus_keys import seed as seed_of
from deploy.local.nats import Nats
from gateway.store.pool import Pool
from tests.gateway.outbox.test_relay import EVENTS, gone, message, put, relaying
from tests.joining import tls_of
from tests.waiting import until

TRIES = 50


class Deaf(Bus):
    """A bus whose publication ends well although it was cancelled, as `asyncio.wait_for` may let it."""

    def __init__(self, nats: Nats) -> None:
        seed = Secret(seed_of(nats.seed_file("gateway")))
        super().__init__("gateway", "gateway", nats.url, seed, tls=tls_of(nats, "gateway"))
        self.published = asyncio.Event()

    async def publish_once(
        self, subject: str, stream: str, body: bytes, message_id: str, headers: dict[str, str]
    ) -> int:
        """Publish, and return only after a cancellation."""
        seq = await super().publish_once(subject, stream, body, message_id, headers)
        self.published.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return seq


async def test_a_confirmation_during_the_shutdown_is_stored(pool: Pool, clean_bus: Nats) -> None:
    """The relay writes the confirmation itself, so no relay publishes the message again."""
    deaf = Deaf(clean_bus)
    await deaf.start()
    try:
        async with relaying(pool, deaf):

            async def taken() -> bool:
                return deaf.published.is_set() or await gone(pool, EVENTS)()

            # The relay of a gateway of another test may take some of them.
            for _ in range(TRIES):
                await put(pool, [message(EVENTS)])
                await until(taken)
                if deaf.published.is_set():
                    break
            assert deaf.published.is_set()
    finally:
        await deaf.stop()

    assert await gone(pool, EVENTS)()

"""A gateway's connection to the bus, and the administrator's."""

from collections.abc import AsyncIterator
from contextlib import suppress

import nats as nats_client
import pytest_asyncio
from nats.aio.client import Client

from chassis.bus.connection import Bus
from chassis.bus.provision import create_streams
from contracts.wire.topology import STREAMS
from deploy.local.nats import Nats
from tests.joining import bus_of, joined


@pytest_asyncio.fixture(name="admin")
async def _admin(clean_bus: Nats) -> AsyncIterator[Client]:
    """Yield the administrator's connection, and restore the streams afterwards."""
    async with await joined(clean_bus, "admin") as client:
        yield client
        for stream in STREAMS:
            with suppress(nats_client.js.errors.NotFoundError):
                await client.jetstream().delete_stream(str(stream.name))
        await create_streams(client.jetstream())


@pytest_asyncio.fixture(name="bus")
async def _bus(clean_bus: Nats) -> AsyncIterator[Bus]:
    bus = bus_of(clean_bus, "gateway")
    await bus.start()
    yield bus
    await bus.stop()

"""The bus is away: messages are published when it is back, and no worker gets more than its free slots."""

import asyncio
from collections.abc import AsyncIterator, Callable
from signal import SIGKILL
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import pytest_asyncio

from chassis.bus.connection import PUBLISH_TIMEOUT, Bus
from chassis.bus.consume import consume
from chassis.bus.delivery import Delivery
from chassis.bus.pull import FETCH_SECONDS
from contracts import subjects
from contracts.wire.topology import sync_worker_consumer
from deploy.local.nats import Nats
from tests.chaos.blackhole import Blackhole
from tests.chaos.parts import Part, start_nats
from tests.joining import bus_of, joined
from tests.waiting import passed, until

SUBJECT, CONSUMER = subjects.sync_requested("okx"), sync_worker_consumer("okx")
LARGE = bytes(1024 * 1024)
NewBus = Callable[..., Bus]


class Server(Part):
    """A separate bus for this module, which keeps its data and its port."""

    nats: Nats

    async def start(self) -> None:
        """Start it, or restart it."""
        self.nats = await start_nats(self, self._directory)


@pytest_asyncio.fixture(name="server", scope="module")
async def _server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    server = Server(tmp_path_factory.mktemp("bus-away"), "nats")
    await server.start()
    yield server
    await server.close()


@pytest.fixture(name="new_bus")
def _new_bus(server: Server) -> NewBus:
    def make(user: str, role: str, port: int | None = None) -> Bus:
        url = f"nats://127.0.0.1:{port or urlsplit(server.nats.url).port}"
        return bus_of(server.nats, user, role, url)

    return make


async def test_a_message_is_confirmed_when_the_bus_is_back(server: Server, new_bus: NewBus) -> None:
    """Publishing is retried while the server is down, and the message is in the stream once (B13)."""
    bus = new_bus("gateway", "gateway")
    await asyncio.wait_for(bus.start(), 10)
    await server.end(SIGKILL)
    publishing = asyncio.create_task(bus.publish(SUBJECT, "SYNC_REQUESTS", b"{}", str(uuid4()), {}))
    await until(passed(2 * PUBLISH_TIMEOUT))
    await server.start()

    assert await publishing == 1
    await bus.stop()
    async with await joined(server.nats, "admin") as admin:
        assert (await admin.jetstream().stream_info("SYNC_REQUESTS")).state.messages == 1
        await admin.jetstream().purge_stream("SYNC_REQUESTS")


async def test_an_outage_piles_up_nothing(server: Server, new_bus: NewBus) -> None:
    """However long the bus was away, a worker with one slot gets one message (B7)."""
    bus, begun = new_bus("sync-worker", "worker"), asyncio.Queue[Delivery]()
    go_on = asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        begun.put_nowait(delivery)
        await go_on.wait()

    consume(bus, CONSUMER, handle, 1)
    await asyncio.wait_for(bus.start(), 10)
    await server.end(SIGKILL)
    await until(passed(5 * FETCH_SECONDS))
    await server.start()
    async with await joined(server.nats, "admin") as admin:
        for _ in range(5):
            await admin.jetstream().publish(SUBJECT, b"{}")
        await asyncio.wait_for(begun.get(), 10)
        await until(passed(1.0))

        info = await admin.jetstream().consumer_info(CONSUMER.stream, CONSUMER.name)
        assert (info.num_ack_pending, info.num_pending) == (1, 4)

        go_on.set()
        for _ in range(4):
            await asyncio.wait_for(begun.get(), 10)
    await bus.stop()


async def test_a_connection_that_takes_no_data_is_given_up(server: Server, new_bus: NewBus) -> None:
    """The client notices the end of a connection in seconds, even with unsent data (B14)."""
    async with Blackhole(urlsplit(server.nats.url).port or 0) as way:
        bus = new_bus("gateway", "gateway", way.port)
        await asyncio.wait_for(bus.start(), 10)
        way.shut()
        for _ in range(12):
            await bus.announce(subjects.recorded(uuid4()), LARGE)

        async def given_up() -> bool:
            return not await bus.ready()

        await until(given_up, 12.0)
        way.open()

        await until(bus.ready, 10.0)
        await bus.stop()

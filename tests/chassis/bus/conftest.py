"""A separate bus, and connections to it as any user: services, and subscribers of one user and of all."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import UUID

import pytest
import pytest_asyncio
from nats.aio.client import Client

from chassis.bus.connection import Bus
from contracts.wire.subscribers import Subscriber
from contracts.wire.topology import STREAMS
from deploy.local.nats import Nats, running_nats
from deploy.local.processes import Processes
from deploy.local.subscribers import public_key
from tests.joining import bus_of, joined
from tests.tapping import Tap, tapped

NewBus = Callable[[str], Bus]
Errors = list[str]
NewClient = Callable[[str], Awaitable[tuple[Client, Errors]]]
ROLES = {"gateway": "gateway", "sync-worker": "worker", "vault-broker": "broker"}
SUBSCRIBERS = {"subscriber": None, "subscriber-one": UUID(int=1), "subscriber-other": UUID(int=2)}
SUBSCRIBERS |= {"subscriber-portfolio": UUID(int=1)}
# These hear changes of amounts.
OF_AMOUNTS = {"subscriber-portfolio"}


@pytest_asyncio.fixture(name="nats", scope="package")
async def _nats(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nats]:
    directory = tmp_path_factory.mktemp("own-bus")
    for folder in ("keys", "nats"):
        (directory / folder).mkdir()
    registry = Nats.at(directory, 0, 0).registry
    registry.write(
        tuple(
            Subscriber(name, public_key(registry.seed_file(name)), heard, name in OF_AMOUNTS)
            for name, heard in SUBSCRIBERS.items()
        )
    )
    async with running_nats(Processes(directory / "logs"), directory) as nats:
        yield nats


@pytest_asyncio.fixture(name="tap")
async def _tap(nats: Nats, admin: Client) -> AsyncIterator[Tap]:
    """Yield a tap that receives the messages of every account."""
    async with tapped(nats) as tap:
        yield tap


@asynccontextmanager
async def connecting(bus: Nats) -> AsyncIterator[NewClient]:
    """Yield a function that connects as a user with the bare client, without our wrapper."""
    async with AsyncExitStack() as clients:

        async def connect(user: str) -> tuple[Client, Errors]:
            errors: Errors = []

            async def on_error(error: Exception) -> None:
                errors.append(str(error))

            inbox = f"_INBOX_{ROLES[user]}" if user in ROLES else "_INBOX"
            client = await joined(bus, user, error_cb=on_error, inbox_prefix=inbox.encode())
            clients.push_async_callback(client.close)
            return client, errors

        yield connect


@pytest_asyncio.fixture(name="new_client")
async def _new_client(nats: Nats) -> AsyncIterator[NewClient]:
    async with connecting(nats) as connect:
        yield connect


@pytest_asyncio.fixture(name="admin")
async def _admin(new_client: NewClient) -> Client:
    """Return the administrator's client, on streams without messages."""
    client, _ = await new_client("admin")
    for stream in STREAMS:
        await client.jetstream().purge_stream(str(stream.name))
    return client


@pytest.fixture(name="new_bus")
def _new_bus(nats: Nats) -> Callable[[str], Bus]:
    """Return a function that makes a service's connection, not yet started."""
    return lambda user: bus_of(nats, user, ROLES[user])

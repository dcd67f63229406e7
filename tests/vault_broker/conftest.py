"""A vault that tests may disturb, a broker whose clock they set, and the broker's two callers."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chassis.bus.connection import Bus
from deploy.local.nats import Nats, running_nats
from deploy.local.ports import free_ports
from deploy.local.processes import Processes
from deploy.local.services import nats_files
from tests.joining import bus_of
from tests.vault_broker.asking import Clock, Gateway, Worker
from tests.vault_broker.vaults import OwnVault
from tests.waiting import until
from vault_broker.credentials import Credentials
from vault_broker.handlers import Handlers
from vault_broker.vault import Vault
from vault_broker.vault_login import Login


@dataclass(frozen=True)
class Callers:
    """The broker's callers, and the clock that all share."""

    gateway: Gateway
    worker: Worker
    clock: Clock


@pytest_asyncio.fixture(name="nats", scope="session")
async def _nats(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nats]:
    """Yield a separate bus, because on the shared one the broker of the whole stack would answer, too."""
    directory = tmp_path_factory.mktemp("own-bus")
    async with running_nats(Processes(directory / "logs"), directory) as nats:
        yield nats


@pytest_asyncio.fixture(name="own_vault", scope="session")
async def _own_vault(
    processes: Processes, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[OwnVault]:
    own_vault = OwnVault(processes, tmp_path_factory.mktemp("own-vault"))
    await own_vault.start()
    yield own_vault
    await own_vault.client.aclose()
    await own_vault.stop()


@pytest.fixture(name="grant_key", scope="session")
def _grant_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest_asyncio.fixture(name="login")
async def _login(own_vault: OwnVault) -> AsyncIterator[Login]:
    async with logged_in(own_vault) as login:
        yield login


@pytest_asyncio.fixture(name="callers")
async def _callers(nats: Nats, login: Login, grant_key: Ed25519PrivateKey) -> AsyncIterator[Callers]:
    clock = Clock()
    handlers = Handlers(Credentials(login), grant_key.public_key(), clock)
    async with (
        connected(nats, "vault-broker", "broker", handlers.declare),
        connected(nats, "gateway", "gateway") as gateway,
        connected(nats, "sync-worker", "worker") as worker,
    ):
        yield Callers(Gateway(gateway, grant_key, clock), Worker(worker, clock), clock)


def environment(
    nats: Nats, own_vault: OwnVault, grant_key: Ed25519PrivateKey, directory: Path
) -> dict[str, str]:
    """Return the environment of a broker process on a free port; its key file goes into the directory."""
    (directory / "grant.pem").write_bytes(
        grant_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return {
        "NATS_URL": nats.url,
        "NATS_NKEY_FILE": str(nats.seed_file("vault-broker")),
        **nats_files(nats, "vault-broker"),
        "VAULT_ADDR": own_vault.url,
        "VAULT_CACERT": str(own_vault.ca),
        "VAULT_ROLE_ID_FILE": str(own_vault.role_id_file),
        "VAULT_SECRET_ID_FILE": str(own_vault.secret_id_file),
        "GRANT_PUBLIC_KEY_FILE": str(directory / "grant.pem"),
        "LOG_LEVEL": "debug",
        "PORT": str(free_ports(1)[0]),
    }


@asynccontextmanager
async def logged_in(own_vault: OwnVault) -> AsyncIterator[Login]:
    """Yield a separate login, kept alive as the service does it."""
    connection = Vault(own_vault.url, str(own_vault.ca))
    login = Login(connection, own_vault.method, time.monotonic)
    keeping = asyncio.create_task(login.keep())
    await until(login.ready)
    yield login
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping
    connection.close()


@asynccontextmanager
async def connected(
    nats: Nats, user: str, role: str, declare: Callable[[Bus], None] | None = None
) -> AsyncIterator[Bus]:
    """Connect to the bus as one user of the topology, with its declared responders, if any."""
    bus = bus_of(nats, user, role)
    if declare is not None:
        declare(bus)
    await bus.start()
    await bus.client.flush()  # the server knows its responders then
    yield bus
    await bus.stop()

"""A bus for these tests, on which the test plays the vault-broker and the worker."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis.bus.connection import Bus
from deploy.local.nats import Nats, running_nats
from deploy.local.postgres import Postgres
from deploy.local.processes import Processes
from gateway.accounts.broker import Broker
from gateway.accounts.delete import Deleting
from gateway.accounts.destroyer import Destroyer
from gateway.accounts.intake import Admission, Intake
from gateway.accounts.offers import Offers
from gateway.outbox.relay import Relay
from gateway.store.pool import Pool
from tests.gateway.accounts.submitting import Others, Scene
from tests.gateway.allowing import allowing
from tests.vault_broker.conftest import connected
from tests.vault_broker.test_stolen_broker import pinned

GRACE_SECONDS = 600


@pytest_asyncio.fixture(name="nats", scope="session")
async def _nats(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nats]:
    """Yield a separate bus, because on the shared one the broker of the whole stack would answer, too."""
    directory = tmp_path_factory.mktemp("own-bus")
    async with running_nats(Processes(directory / "logs"), directory) as nats:
        yield nats


@pytest_asyncio.fixture(name="scene")
async def _scene(pool: Pool, database: Postgres, nats: Nats) -> AsyncIterator[Scene]:
    """Yield a gateway that accepts keys, with the broker and worker that it asks."""
    others, key = Others(), Ed25519PrivateKey.generate()
    async with (
        connected(nats, "vault-broker", "broker", others.declare_broker),
        connected(nats, "sync-worker", "worker", others.declare_worker),
        connected(nats, "gateway", "gateway") as bus,
    ):
        vault = Broker(bus, pinned(others.keys), key)
        admission = Admission(allowing(submissions=5), 8)
        destroyer = Destroyer(pool, vault, GRACE_SECONDS)
        intake = Intake(pool, bus, vault, destroyer, key, admission=admission)
        yield Scene(intake, others, database, Offers(pool, vault, destroyer, admission))


@pytest.fixture(name="grant_key")
def _grant_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture(name="deleting")
def _deleting(pool: Pool, unconnected: Bus, grant_key: Ed25519PrivateKey) -> Deleting:
    """Return the part that deletes; neither its relay nor its destroyer runs."""
    broker = Broker(unconnected, pinned(), grant_key)
    return Deleting(pool, Relay(pool, unconnected), Destroyer(pool, broker, GRACE_SECONDS), grant_key)

"""A broker whose clock disagrees with the vault's refuses time-dependent requests with that code only."""

import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis.clocks import Clocks
from contracts.credentials import Keys, Refused
from contracts.faults import Code
from deploy.local.nats import Nats
from tests.vault_broker.asking import Clock, Gateway, Worker, code
from tests.vault_broker.conftest import Callers, connected
from tests.vault_broker.vaults import OwnVault
from vault_broker.app import STORE_LATENESS
from vault_broker.credentials import Credentials
from vault_broker.handlers import Handlers
from vault_broker.vault import Vault
from vault_broker.vault_login import Login

SECRET = "22582BD0CFF14C41EDBF1AB98506286D"


@pytest.fixture(name="disagreeing")
def _disagreeing() -> list[str]:
    """Return the clocks that disagree with the broker's; a test adds one."""
    return []


@pytest_asyncio.fixture(name="callers")
async def _callers(
    nats: Nats, login: Login, grant_key: Ed25519PrivateKey, disagreeing: list[str]
) -> AsyncIterator[Callers]:
    """Yield callers with the true time, and a broker with a separate clock."""
    clock, true = Clock(), Clock()
    true.time = clock.time
    handlers = Handlers(
        Credentials(login), grant_key.public_key(), clock, lambda: bool(disagreeing), STORE_LATENESS
    )
    async with (
        connected(nats, "vault-broker", "broker", handlers.declare),
        connected(nats, "gateway", "gateway") as gateway,
        connected(nats, "sync-worker", "worker") as worker,
    ):
        yield Callers(Gateway(gateway, grant_key, true), Worker(worker, true), clock)


@pytest.mark.parametrize("seconds", [-3600, -90, 90, 3600])
async def test_no_time_is_judged_by_a_clock_that_may_be_wrong(
    callers: Callers, disagreeing: list[str], seconds: int
) -> None:
    """A grant is not called expired, nor a store late: both are clock_disagrees, which passes."""
    credential = await callers.gateway.stored(SECRET, "key", "words")
    keys = await callers.gateway.keys()
    assert isinstance(keys, Keys)
    disagreeing.append("vault")
    callers.clock.time += timedelta(seconds=seconds)

    signing = callers.worker.request(credential, callers.gateway.grant(credential, seconds=60))
    storing = callers.gateway.store_request(keys, SECRET.encode())
    assert code(await callers.worker.authorize(signing)) == Code.CLOCK_DISAGREES
    assert code(await callers.gateway.store(storing)) == Code.CLOCK_DISAGREES


async def test_a_vault_with_a_wrong_clock_stops_nothing(callers: Callers, disagreeing: list[str]) -> None:
    """If all times fit its own clock the vault's is wrong, and the broker signs granted reads."""
    disagreeing.append("vault")
    credential = await callers.gateway.stored(SECRET, "key", "words")

    assert (
        await callers.worker.signed(callers.worker.request(credential, callers.gateway.grant(credential)))
    ).reads


async def test_a_forged_grant_is_no_matter_of_clocks(callers: Callers, disagreeing: list[str]) -> None:
    """Whatever the clocks show, a request that the gateway did not sign is refused for good."""
    disagreeing.append("vault")
    credential = await callers.gateway.stored(SECRET, "key", "words")
    forger = Gateway(callers.gateway.bus, Ed25519PrivateKey.generate(), callers.clock)
    request = callers.worker.request(credential, forger.grant(credential))

    assert code(await callers.worker.authorize(request)) == Code.GRANT_REFUSED


async def test_a_grant_ends_at_its_deadline_by_a_clock_that_is_believed(callers: Callers) -> None:
    """An attacker gets no leeway."""
    credential = await callers.gateway.stored(SECRET, "key", "words")
    grant = callers.gateway.grant(credential, seconds=30)
    callers.clock.time += timedelta(seconds=30)

    assert (
        code(await callers.worker.authorize(callers.worker.request(credential, grant))) == Code.GRANT_REFUSED
    )


@pytest.mark.parametrize(
    ("seconds", "reply"), [(-10, "Stored"), (18, "Stored"), (20.1, Code.DEADLINE_EXCEEDED)]
)
async def test_a_store_may_be_late_by_what_clocks_differ(
    callers: Callers, seconds: float, reply: str
) -> None:
    """A broker that is ten seconds ahead or behind stores requests that arrive in time."""
    keys = await callers.gateway.keys()
    assert isinstance(keys, Keys)
    callers.clock.time += timedelta(seconds=seconds)

    said = await callers.gateway.store(callers.gateway.store_request(keys, SECRET.encode()))

    assert (said.code if isinstance(said, Refused) else type(said).__name__) == reply


async def test_every_answer_of_the_vault_tells_its_time(own_vault: OwnVault) -> None:
    """The Date of a response is the vault's clock, to the second."""
    clocks = Clocks()
    vault = Vault(own_vault.url, str(own_vault.ca), lambda seconds, at: clocks.note("vault", seconds, at))

    await vault.request("GET", "sys/health")
    vault.close()

    offset = clocks.offset("vault")
    assert offset is not None
    assert abs(offset) < 1.0
    assert clocks.now().timestamp() == pytest.approx(time.time(), abs=1.0)

"""The service as a process: it starts whatever is missing, becomes ready by itself and logs no secret."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGTERM

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.faults import Code
from contracts.wire.grants import VERIFY
from deploy.local.nats import Nats
from deploy.local.processes import Program, Running
from tests.forking import ForkingProcesses
from tests.vault_broker.asking import Clock, Gateway, Worker, code
from tests.vault_broker.conftest import connected, environment
from tests.vault_broker.vaults import OwnVault
from tests.waiting import IN_THE_CLEAR, until

API_KEY, SECRET, PASSPHRASE = "canary-api-key", "canary-secret-of-32-bytes-or-more", "canary-passphrase"
READY_WITHIN = 10.0


class Service:
    """A broker process with its health and its output."""

    def __init__(self, process: Running, port: str, log: Path) -> None:
        self.process = process
        self._url = f"http://127.0.0.1:{port}"
        self._log = log

    async def get(self, path: str) -> tuple[int, str]:
        """Return status and body of a health request; status 0 without a server."""
        async with httpx.AsyncClient(verify=IN_THE_CLEAR, base_url=self._url, trust_env=False) as client:
            try:
                response = await client.get(path)
            except httpx.TransportError:
                return 0, ""
        return response.status_code, response.text

    async def ready(self) -> bool:
        """Return whether the service is ready."""
        return (await self.get("/readyz"))[0] == 200

    async def serving(self) -> bool:
        """Return whether the service answers."""
        return (await self.get("/healthz"))[0] == 200

    async def ended(self, seconds: float = 20.0) -> int:
        """Wait for the end and return the exit code."""
        return await asyncio.wait_for(self.process.wait(), seconds)

    def output(self) -> str:
        """Return all that the process wrote."""
        return self._log.read_text()


@asynccontextmanager
async def service(directory: Path, environ: Mapping[str, str]) -> AsyncIterator[Service]:
    """Run a broker process."""
    program = Program("vault-broker", [sys.executable, "-m", "vault_broker"], environ)
    async with ForkingProcesses(directory).running(program) as process:
        yield Service(process, environ.get("PORT", "3002"), directory / "vault-broker.log")


@pytest.fixture(name="environ")
def _environ(nats: Nats, own_vault: OwnVault, grant_key: Ed25519PrivateKey, tmp_path: Path) -> dict[str, str]:
    return environment(nats, own_vault, grant_key, tmp_path)


async def test_whole_life_of_a_credential_without_a_word_of_it(
    nats: Nats, environ: dict[str, str], grant_key: Ed25519PrivateKey, tmp_path: Path
) -> None:
    """A credential is stored, used and destroyed; logs and metrics show the requests, but no part of it."""
    clock = Clock()
    async with (
        service(tmp_path, environ) as broker,
        connected(nats, "gateway", "gateway") as bus,
        connected(nats, "sync-worker", "worker") as worker_bus,
    ):
        await until(broker.ready, READY_WITHIN)
        gateway, worker = Gateway(bus, grant_key, clock), Worker(worker_bus, clock)
        credential = await gateway.stored(SECRET, API_KEY, PASSPHRASE)
        signed = await worker.signed(worker.request(credential, gateway.grant(credential)))
        refused = worker.request(credential, gateway.grant(credential, VERIFY))
        assert code(await worker.authorize(refused)) == Code.GRANT_REFUSED
        assert type(await gateway.destroy(credential)).__name__ == "Destroyed"
        _, metrics = await broker.get("/metrics")
        broker.process.send_signal(SIGTERM)
        assert await broker.ended() == 0
        told = broker.output() + metrics

    assert 'butler_signatures_total{exchange="okx",outcome="done"} 4.0' in metrics
    for action, outcome in (("store", "done"), ("authorize", "done"), ("authorize", "grant_refused")):
        assert any(
            f'"action": "{action}"' in line and f'"outcome": "{outcome}"' in line and str(credential) in line
            for line in told.splitlines()
        )
    signatures = [read.headers["OK-ACCESS-SIGN"].reveal() for read in signed.reads]
    role = [Path(environ[f"VAULT_{name}_ID_FILE"]).read_text() for name in ("ROLE", "SECRET")]
    for secret in (API_KEY, SECRET, PASSPHRASE, *signatures, *role, "hvs.", "s.CAES"):
        assert secret not in told


async def test_service_starts_without_its_vault(
    environ: dict[str, str], tmp_path: Path, own_vault: OwnVault
) -> None:
    """A broker that starts before its vault names the missing part, and is ready soon after it."""
    await own_vault.stop()
    try:
        async with service(tmp_path, environ) as broker:
            await until(broker.serving)

            async def only_the_vault_is_missing() -> bool:
                told = await broker.get("/readyz")
                return told == (503, '{"ready":false,"not_ready":["vault"],"degraded":[]}')

            await until(only_the_vault_is_missing, READY_WITHIN)  # the bus answers a moment later
            await own_vault.start()
            await until(broker.ready, READY_WITHIN)
    finally:
        await own_vault.stop()
        await own_vault.start()


async def test_service_starts_without_its_bus(environ: dict[str, str], tmp_path: Path) -> None:
    """A broker that starts before the bus waits for it, and can be stopped meanwhile."""
    async with service(tmp_path, {**environ, "NATS_URL": "nats://127.0.0.1:1"}) as broker:
        await until(broker.serving)

        async def only_the_bus_is_missing() -> bool:
            return (await broker.get("/readyz"))[1] == '{"ready":false,"not_ready":["nats"],"degraded":[]}'

        await until(only_the_bus_is_missing, READY_WITHIN)
        broker.process.send_signal(SIGTERM)
        assert await broker.ended() == 0


async def test_bad_setting_ends_with_its_name(environ: dict[str, str], tmp_path: Path) -> None:
    """A bad setting is reported in one line, and the exit code is 2."""
    for name, value in (("VAULT_ADDR", ""), ("LOG_LEVEL", "loud")):
        async with service(tmp_path, {**environ, name: value}) as broker:
            assert await broker.ended() == 2
            assert name in broker.output()
            assert len(broker.output().splitlines()) == 1

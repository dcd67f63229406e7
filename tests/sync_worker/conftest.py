"""A real NATS, OpenBao, vault-broker and simulated exchange around the sync-worker, each started once."""

import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contracts.budgets import Leases
from contracts.subjects import budgets
from contracts.wire.envelope import encode
from deploy.local.certificates import Authority, make_authority
from deploy.local.demo import ACCOUNTS
from deploy.local.nats import Nats, running_nats
from deploy.local.openbao import OpenBao, running_openbao
from deploy.local.ports import free_ports
from deploy.local.processes import Processes, Program
from deploy.local.services import nats_files
from deploy.local.simulator import Simulator, running_simulator
from deploy.simulator.app import HOSTS
from deploy.simulator.okx.accounts import Accounts, load_accounts
from sync_worker.exchanges.http import Https
from tests.forking import ForkingProcesses
from tests.joining import bus_of, joined
from tests.pinning import pinned_in
from tests.sync_worker.scripted import ScriptedExchange
from tests.sync_worker.system import Gateway, Service, Worker

READY_SECONDS = 30
FACTS = Path(__file__).parents[3] / "shared" / "exchanges"


@pytest.fixture(name="directory", scope="session")
def _directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sync-worker")


@pytest.fixture(name="processes", scope="session")
def _processes(directory: Path) -> Processes:
    return ForkingProcesses(directory / "logs")


@pytest_asyncio.fixture(name="bus_server", scope="session")
async def _bus_server(processes: Processes, directory: Path) -> AsyncIterator[Nats]:
    async with running_nats(processes, directory) as server:
        yield server


@pytest_asyncio.fixture(name="vault", scope="session")
async def _vault(processes: Processes, directory: Path) -> AsyncIterator[OpenBao]:
    async with running_openbao(processes, directory) as vault:
        yield vault


@pytest_asyncio.fixture(name="exchange", scope="session")
async def _exchange(processes: Processes, directory: Path) -> AsyncIterator[Simulator]:
    async with running_simulator(processes, directory) as exchange:
        yield exchange


@pytest.fixture(name="accounts", scope="session")
def _accounts() -> Accounts:
    return load_accounts(ACCOUNTS)


@pytest.fixture(name="grant_key", scope="session")
def _grant_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest_asyncio.fixture(name="broker", scope="session")
async def _broker(
    processes: Processes, directory: Path, bus_server: Nats, vault: OpenBao, grant_key: Ed25519PrivateKey
) -> AsyncIterator[Service]:
    key_file = directory / "grant.pem"
    pem = grant_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key_file.write_bytes(pem)
    settings = {
        "VAULT_ADDR": vault.url,
        "VAULT_CACERT": str(vault.ca),
        "VAULT_ROLE_ID_FILE": str(vault.role_id_file),
        "VAULT_SECRET_ID_FILE": str(vault.secret_id_file),
        "GRANT_PUBLIC_KEY_FILE": str(key_file),
    }
    program = service("vault-broker", "vault_broker", bus_server, settings)
    async with processes.running(program) as process:
        broker = Service.of(program, process, directory / "logs" / "vault-broker.log")
        await processes.until("vault-broker", broker.ready, READY_SECONDS)
        yield broker


@pytest_asyncio.fixture(name="scripted_server", scope="session")
async def _scripted_server(exchange: Simulator) -> AsyncIterator[ScriptedExchange]:
    folder = Path(exchange.ca).parent
    identity = Authority(folder / "ca.pem", folder / "ca-key.pem").issue(HOSTS)
    async with ScriptedExchange(identity).listening() as server:
        yield server


@pytest.fixture(name="scripted")
def _scripted(scripted_server: ScriptedExchange) -> ScriptedExchange:
    scripted_server.forget()
    return scripted_server


@pytest.fixture(name="worker_program", scope="session")
def _worker_program(bus_server: Nats, exchange: Simulator, scripted_server: ScriptedExchange) -> Program:
    """Describe a worker whose region `us` is the scripted exchange and whose others are the simulated one."""
    settings = {
        "EXCHANGE_OKX_GLOBAL_URL": exchange.exchanges["okx"]["global"],
        "EXCHANGE_OKX_EEA_URL": exchange.exchanges["okx"]["eea"],
        "EXCHANGE_OKX_US_URL": scripted_server.origin,
        "EXCHANGE_CA_FILE": exchange.ca,
        "EGRESS_ADDRESSES": "192.0.2.77",
        "LOG_LEVEL": "debug",
    }
    return service("sync-worker", "sync_worker", bus_server, settings)


@pytest_asyncio.fixture(name="worker", scope="module")
async def _worker(
    processes: Processes, directory: Path, bus_server: Nats, broker: Service, worker_program: Program
) -> AsyncIterator[Worker]:
    """Run a worker for each module of tests, because some tests end it.

    Its address has budgets of its own, because refusals of other tests would slow it down.
    """
    group = uuid4().hex
    async with await joined(bus_server, "admin") as admin:
        body = encode(Leases(settled=1.0))  # no other worker has had a lease
        await admin.jetstream().publish(budgets(group, "okx"), body)
    worker_program = replace(
        worker_program, environment={**worker_program.environment, "EGRESS_GROUP": group}
    )
    async with processes.running(worker_program) as process:
        worker = Worker.of(worker_program, process, directory / "logs" / "sync-worker.log")
        await processes.until("sync-worker", worker.ready, READY_SECONDS)
        yield worker


@pytest_asyncio.fixture(name="gateway", scope="session")
async def _gateway(
    bus_server: Nats, vault: OpenBao, broker: Service, grant_key: Ed25519PrivateKey
) -> AsyncIterator[Gateway]:
    bus = bus_of(bus_server, "gateway")
    admin = await joined(bus_server, "admin")
    await bus.start()
    gateway = Gateway(bus, grant_key, pinned_in(vault.fingerprints_file))
    await gateway.listen(admin)
    yield gateway
    await admin.close()
    await bus.stop()


@pytest.fixture(name="authority", scope="module")
def _authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"), "test")


@pytest_asyncio.fixture(name="server")
async def _server(authority: Authority) -> AsyncIterator[ScriptedExchange]:
    async with ScriptedExchange(authority.issue(["127.0.0.1"])).listening() as server:
        yield server


@pytest_asyncio.fixture(name="https")
async def _https(authority: Authority) -> AsyncIterator[Https]:
    https = Https(str(authority.certificate_path))
    yield https
    await https.close()


@pytest.fixture(name="facts", scope="session")
def _facts() -> Path:
    if not FACTS.is_dir():
        pytest.skip("the facts about exchanges are not kept beside this checkout")
    return FACTS


def service(name: str, module: str, bus_server: Nats, settings: dict[str, str]) -> Program:
    """Describe a service on a free port."""
    (port,) = free_ports(1)
    own = {"NATS_URL": bus_server.url, "NATS_NKEY_FILE": str(bus_server.seed_file(name)), "PORT": str(port)}
    own |= nats_files(bus_server, name)
    return Program(name, [sys.executable, "-m", module], {**os.environ, **own, **settings})

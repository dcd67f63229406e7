"""The whole system around a simulated exchange with faults that tests switch on."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from contracts.wire.key_files import load_signing_key
from deploy.local.nats import running_nats
from deploy.local.openbao import running_openbao
from deploy.local.postgres import running_postgres
from deploy.local.services import Infrastructure, running_services, service_ports
from deploy.local.simulator import running_simulator
from deploy.local.stack import Stack
from deploy.simulator.binance.accounts import Accounts as BinanceAccounts
from deploy.simulator.binance.accounts import load_accounts as load_binance_accounts
from deploy.simulator.okx.accounts import Accounts, load_accounts
from tests.conformance.binance_table import BINANCE_KEY, BINANCE_ROWS, BINANCE_TOTALS
from tests.conformance.simulated import Admin, administering, write_accounts, write_binance_accounts
from tests.conformance.table import CONFIG_ROWS, ROWS, VALUATION_ROWS
from tests.forking import ForkingProcesses
from tests.joining import bus_of, joined
from tests.pinning import pinned_in
from tests.processes import process_writing
from tests.sync_worker.system import Gateway


@pytest.fixture(name="directory", scope="module")
def _directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("conformance")


@pytest.fixture(name="accounts_file", scope="module")
def _accounts_file(directory: Path) -> Path:
    file = directory / "accounts.toml"
    write_accounts(file, [row.name for row in ROWS + VALUATION_ROWS + CONFIG_ROWS])
    return file


@pytest.fixture(name="accounts", scope="module")
def _accounts(accounts_file: Path) -> Accounts:
    return load_accounts(accounts_file)


@pytest.fixture(name="binance_file", scope="module")
def _binance_file(directory: Path) -> Path:
    file = directory / "binance.toml"
    write_binance_accounts(file, [row.name for row in BINANCE_ROWS + BINANCE_TOTALS + BINANCE_KEY])
    return file


@pytest.fixture(name="binance_accounts", scope="module")
def _binance_accounts(binance_file: Path) -> BinanceAccounts:
    return load_binance_accounts(binance_file)


@pytest_asyncio.fixture(name="troubled_stack", scope="module")
async def _troubled_stack(directory: Path, accounts_file: Path, binance_file: Path) -> AsyncIterator[Stack]:
    """Run everything, with exchanges that have an admin port and an account for each row."""
    processes = ForkingProcesses(directory / "logs")
    options = ("--admin-port", "0", "--accounts", accounts_file, "--accounts", binance_file)
    async with (
        running_nats(processes, directory) as nats,
        running_openbao(processes, directory) as vault,
        running_postgres(processes, directory) as database,
        running_simulator(processes, directory, options) as exchange,
    ):
        parts = Infrastructure(directory, nats, vault, database, exchange)
        ports = service_ports()
        async with AsyncExitStack() as services:
            with pytest.MonkeyPatch.context() as environment:  # of this stack only, others start meanwhile
                environment.setenv("SYNC_DEADLINE_SECONDS", "9")  # a lasting fault is soon reported
                await services.enter_async_context(running_services(processes, parts, ports))
            yield Stack(processes, parts, ports)


@pytest_asyncio.fixture(name="admin", scope="module")
async def _admin(troubled_stack: Stack) -> AsyncIterator[Admin]:
    async with administering(troubled_stack.parts.simulator) as admin:
        yield admin


@pytest_asyncio.fixture(name="gateway", scope="module")
async def _gateway(troubled_stack: Stack) -> AsyncIterator[Gateway]:
    """Yield a gateway that calls the worker directly, with grants of the running gateway's key."""
    nats = troubled_stack.parts.nats
    key = load_signing_key((troubled_stack.parts.directory / "keys" / "grant.pem").read_bytes())
    bus = bus_of(nats, "gateway")
    await bus.start()
    async with await joined(nats, "admin") as client:
        gateway = Gateway(bus, key, pinned_in(troubled_stack.parts.vault.fingerprints_file))
        await gateway.listen(client)
        yield gateway
    await bus.stop()


@pytest.fixture(name="worker_process", scope="module")
def _worker_process(troubled_stack: Stack) -> psutil.Process:
    return process_writing(troubled_stack.processes.logs / "sync-worker.log")

"""The real servers that tests share: the local stack's code starts each once, on demand.

With `--cluster` all run as containers instead, as the manifests say; the fixture `cluster` decides.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from psycopg import sql
from psycopg.errors import DeadlockDetected

from contracts.wire.topology import STREAMS
from deploy.local.nats import Nats, running_nats
from deploy.local.openbao import OpenBao, running_openbao
from deploy.local.postgres import SUPERUSER, Postgres, running_postgres
from deploy.local.processes import Processes
from deploy.local.services import Infrastructure, running_services, service_ports
from deploy.local.simulator import Simulator, running_simulator
from deploy.local.stack import Stack
from tests.conformance.simulated import NUMBERED, write_accounts
from tests.containers.engine import require_engine
from tests.forking import ForkingProcesses
from tests.joining import joined
from tests.speeds import chosen, needs_engine, needs_whole_system, order
from tests.waiting import until

if TYPE_CHECKING:
    from tests.cluster.system import ContainerSystem

MIGRATIONS_TABLE = "schema_migrations"
# The time for an example depends on the machine's other work, not on our code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that runs the system in containers."""
    parser.addoption("--cluster", action="store_true", help="run the tests of containers as in a cluster")


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Choose the tests of this way to run, mark those that need much, and order the files."""
    left = [item for item in items if not chosen(item, in_cluster=config.getoption("--cluster"))]
    items[:] = [item for item in items if item not in left]
    config.hook.pytest_deselected(items=left)
    for item in items:
        if needs_engine(item):
            item.add_marker("containers")
        if needs_whole_system(item):
            item.add_marker("stack")
    order(items)


@pytest.fixture(autouse=True, scope="session")
def _many_submissions() -> Iterator[None]:
    """Raise the limits of submissions and registrations for one address; tests of limits set their own.

    Accounts are synced only when a test asks, each sync reads anew, and no prices are requested; tests of
    these set their own, too.
    """
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SUBMISSION_LIMIT_PER_MINUTE", "1000")
        environment.setenv("SUBMISSION_LIMIT_PER_DAY", "10000")
        environment.setenv("REGISTRATION_LIMIT_PER_MINUTE", "1000")
        environment.setenv("REGISTRATION_LIMIT_PER_DAY", "10000")
        environment.setenv("SCHEDULED_SYNCS_WAITING", "0")
        environment.setenv("SYNC_CACHE_SECONDS", "0")
        environment.setenv("PRICE_SECONDS", "86400")
        yield


@pytest.fixture(name="directory", scope="session")
def _directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(name="processes", scope="session")
def _processes(directory: Path) -> Processes:
    return ForkingProcesses(directory / "logs")


@pytest_asyncio.fixture(name="cluster", scope="session")
async def _cluster(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> "AsyncIterator[ContainerSystem | None]":
    """Run the whole system in containers with `--cluster`; without it yield None."""
    if not pytestconfig.getoption("--cluster"):
        yield None
        return
    require_engine()
    from tests.cluster.system import running_containers  # noqa: PLC0415 - its import takes every run a second

    directory = tmp_path_factory.mktemp("cluster")
    write_accounts(directory / "accounts.toml", NUMBERED)
    async with running_containers(directory, (directory / "accounts.toml").read_bytes()) as system:
        yield system


@pytest.fixture(name="whole_cluster", scope="session")
def _whole_cluster(cluster: "ContainerSystem | None") -> "ContainerSystem":
    """Return the system in containers; tests that ask for it run only with `--cluster`."""
    assert cluster is not None
    return cluster


@pytest_asyncio.fixture(name="nats", scope="session")
async def _nats(
    cluster: "ContainerSystem | None", processes: Processes, directory: Path
) -> AsyncIterator[Nats]:
    async with nullcontext(cluster.nats) if cluster else running_nats(processes, directory) as nats:
        yield nats


@pytest_asyncio.fixture(name="vault", scope="session")
async def _vault(
    cluster: "ContainerSystem | None", processes: Processes, directory: Path
) -> AsyncIterator[OpenBao]:
    async with nullcontext(cluster.vault) if cluster else running_openbao(processes, directory) as vault:
        yield vault


@pytest_asyncio.fixture(name="database", scope="session")
async def _database(
    cluster: "ContainerSystem | None", processes: Processes, directory: Path
) -> AsyncIterator[Postgres]:
    async with (
        nullcontext(cluster.database) if cluster else running_postgres(processes, directory) as database
    ):
        yield database


@pytest_asyncio.fixture(name="exchange", scope="session")
async def _exchange(
    cluster: "ContainerSystem | None", processes: Processes, directory: Path
) -> AsyncIterator[Simulator]:
    local = running_simulator(processes, directory, ("--admin-port", "0"))
    async with nullcontext(cluster.exchange) if cluster else local as exchange:
        yield exchange


@pytest_asyncio.fixture(name="shared_stack", scope="session")
async def _shared_stack(
    cluster: "ContainerSystem | None",
    processes: Processes,
    directory: Path,
    nats: Nats,
    vault: OpenBao,
    database: Postgres,
    exchange: Simulator,
) -> AsyncIterator[Stack]:
    if cluster:
        yield cluster.stack
        return
    parts = Infrastructure(directory, nats, vault, database, exchange)
    ports = service_ports()
    with pytest.MonkeyPatch.context() as environment:
        # The tests search even debug logs for credentials.
        environment.setenv("LOG_LEVEL", "debug")
        # After a refusal of the address that a test provokes, the others wait for a second and not for long.
        environment.setenv("EXCHANGE_OKX_CALLS_PER_ADDRESS", "10000/1")
        async with running_services(processes, parts, ports):
            yield Stack(processes, parts, ports)


@pytest_asyncio.fixture(name="clean_database")
async def _clean_database(database: Postgres) -> Postgres:
    """Return the migrated database without rows; the triggers that protect audit rows are off meanwhile."""
    async with await database.connect(SUPERUSER) as connection:
        rows = await connection.execute(
            "select tablename from pg_tables where schemaname = 'public' and tablename <> %s",
            [MIGRATIONS_TABLE],
        )
        tables = [sql.Identifier(str(name)) for (name,) in await rows.fetchall()]
        await connection.execute("set session_replication_role = replica")
        truncate = sql.SQL("truncate {}").format(sql.SQL(", ").join(tables))

        async def emptied() -> bool:
            with suppress(DeadlockDetected):  # the gateway still writes rows of the test before
                await connection.execute(truncate)
                return True
            return False

        await until(emptied)
    return database


@pytest_asyncio.fixture(name="clean_bus")
async def _clean_bus(nats: Nats) -> Nats:
    """Return the bus with no messages in its streams."""
    async with await joined(nats, "admin") as client:
        for stream in STREAMS:
            await client.jetstream().purge_stream(str(stream.name))
    return nats


@pytest.fixture(name="stack")
def _stack(shared_stack: Stack, clean_database: Postgres, clean_bus: Nats) -> Stack:
    """Return the whole running system without users, accounts or messages."""
    shared_stack.processes.missing()
    return shared_stack

"""The whole system with every process controlled by the test: to stop, kill, suspend and restart."""

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGTERM, Signals

import httpx
import psutil

from deploy.local.nats import Nats, running_nats
from deploy.local.openbao import OpenBao
from deploy.local.ports import LOOPBACK
from deploy.local.postgres import SUPERUSER, Postgres, running_postgres
from deploy.local.processes import Processes, Program
from deploy.local.services import MODULES, Infrastructure, environments, service_ports
from deploy.local.simulator import Simulator, running_simulator
from tests.forking import ForkingProcesses
from tests.processes import process_writing, suspended
from tests.vault_broker.vaults import OwnVault
from tests.waiting import IN_THE_CLEAR, until

STOP_SECONDS = 40.0
READY_SECONDS = 10.0
BACKLOG = {"outbox", "syncs"}
RUNS = count(1)


class Part:
    """A process that can be ended in any way and restarted."""

    def __init__(self, directory: Path, name: str) -> None:
        self.name = name
        self._directory = directory
        self._running = AsyncExitStack()
        self.log = Path()

    async def enter(self, context: Callable[[Processes], AbstractAsyncContextManager[object]]) -> object:
        """Start it, with a log folder for each start."""
        logs = self._directory / f"{self.name}-{next(RUNS)}"
        self.log = logs / f"{self.name}.log"
        return await self._running.enter_async_context(context(ForkingProcesses(logs)))

    @property
    def process(self) -> psutil.Process:
        """Find the process by its log file."""
        return process_writing(self.log)

    async def end(self, signal: Signals = SIGTERM) -> None:
        """End it by a signal, even while it is suspended; fails if it does not end."""
        process = self.process
        process.send_signal(signal)
        if signal is not SIGKILL:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(SIGCONT)

        async def gone() -> bool:
            with suppress(psutil.NoSuchProcess):
                return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
            return True

        await until(gone, STOP_SECONDS)
        await self._running.aclose()

    def held(self) -> AbstractAsyncContextManager[None]:
        """Suspend the process."""
        return suspended(self.process)

    async def close(self) -> None:
        """Stop it if it runs."""
        await self._running.aclose()


class Reporting:
    """A service that says by HTTP how it is."""

    name: str
    operations: str

    async def not_ready(self) -> list[str]:
        """Return the required parts that are missing; itself if it does not respond."""
        return (await self._parts())[0]

    async def degraded(self) -> list[str]:
        """Return the missing parts that only limit it."""
        return (await self._parts())[1]

    async def ready(self) -> bool:
        """Return whether it is ready and not degraded, apart from backlogs, which may take longer."""
        not_ready, degraded = await self._parts()
        return not not_ready and not {*degraded} - BACKLOG

    async def _parts(self) -> tuple[list[str], list[str]]:
        try:
            async with httpx.AsyncClient(verify=IN_THE_CLEAR, timeout=5, trust_env=False) as client:
                said = (await client.get(f"{self.operations}/readyz")).json()
        except httpx.TransportError:
            return [self.name], []
        return said["not_ready"], said["degraded"]

    async def metric(self, sample: str) -> float:
        """Return a metric by its name and labels as written in the exposition; 0 if absent."""
        async with httpx.AsyncClient(verify=IN_THE_CLEAR, timeout=5, trust_env=False) as client:
            lines = (await client.get(f"{self.operations}/metrics")).text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample)), 0.0)


class Service(Part, Reporting):
    """One process of a service, with its settings and its own ports; `python` runs another version of it."""

    def __init__(
        self, directory: Path, name: str, environment: dict[str, str], python: str = sys.executable
    ) -> None:
        super().__init__(directory, name)
        self._environment = environment
        self._python = python
        self.url = f"http://{LOOPBACK}:{environment['PORT']}"
        self.operations = f"http://{LOOPBACK}:{environment['OPERATIONS_PORT']}"

    async def start(self) -> None:
        """Start it without waiting until it is ready."""
        program = Program(self.name, [self._python, "-m", MODULES[self.name]], self._environment)
        await self.enter(lambda processes: processes.running(program))


@dataclass
class World:
    """The whole running system; `replicas` of a service differ only in their ports."""

    directory: Path
    nats: Part
    postgres: Part
    exchange: Part
    vault: OwnVault
    parts: Infrastructure
    settings: dict[str, str] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)

    @classmethod
    async def start(
        cls,
        directory: Path,
        accounts: Path,
        bus: Nats | None = None,
        limits: Sequence[str | Path] = (),
        **settings: str,
    ) -> "World":
        """Start everything and wait until it is ready; `bus` is one that runs already.

        The exchange has these `limits`, as options, and all services have these `settings`.
        """
        nats, postgres, exchange = (Part(directory, name) for name in ("nats", "postgres", "exchange"))
        vault = OwnVault(Processes(directory / "vault-logs"), directory / "vault")
        (directory / "vault").mkdir(exist_ok=True)
        await vault.start()
        bus = bus or await start_nats(nats, directory)
        database = await postgres.enter(lambda processes: running_postgres(processes, directory))
        options: list[str | Path] = ["--admin-port", "0", "--accounts", accounts, *limits]
        shop = await exchange.enter(lambda processes: running_simulator(processes, directory, options))
        assert isinstance(database, Postgres)
        assert isinstance(shop, Simulator)
        kept = OpenBao(vault.role_id_file, vault.secret_id_file, vault.fingerprints_file, vault.url, vault.ca)
        parts = Infrastructure(directory, bus, kept, database, shop)
        world = cls(directory, nats, postgres, exchange, vault, parts, settings)
        for name in MODULES:
            world.services[name] = world.replica(name)
            await world.services[name].start()
        await until(world.ready, 60)
        return world

    def replica(self, name: str, **settings: str) -> Service:
        """Describe another process of a service."""
        own = environments(self.parts, service_ports())[name]
        return Service(self.directory, name, own | self.settings | settings)

    async def ready(self) -> bool:
        """Return whether all services are ready."""
        return all([await service.ready() for service in self.services.values()])

    async def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Run a query as the superuser."""
        async with await self.parts.database.connect(SUPERUSER) as connection:
            cursor = await connection.execute(query.encode(), values)
            return await cursor.fetchall() if cursor.description else []

    async def restart_nats(self) -> None:
        """Restart the bus on its data."""
        await start_nats(self.nats, self.directory)

    async def restart_postgres(self) -> None:
        """Restart the database on its data."""
        await self.postgres.enter(lambda processes: running_postgres(processes, self.directory))

    async def stop(self) -> None:
        """Stop everything."""
        await stop_all([*self.services.values(), self.exchange, self.postgres, self.nats])
        await self.vault.client.aclose()
        await self.vault.stop()


async def start_nats(part: Part, directory: Path) -> Nats:
    """Start the bus on its data."""
    bus = await part.enter(lambda processes: running_nats(processes, directory))
    assert isinstance(bus, Nats)
    return bus


async def stop_all(parts: Iterable[Part]) -> None:
    """Stop parts one after the other."""
    for part in parts:
        await part.close()

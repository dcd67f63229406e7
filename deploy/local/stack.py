"""The whole system on one machine: started in order, watched, and stopped in reverse order."""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from deploy.local.bus_health import watched
from deploy.local.certificates import RENEWED, Validity
from deploy.local.confinement import best_way
from deploy.local.monitoring import write_targets
from deploy.local.nats import running_nats
from deploy.local.openbao import running_openbao
from deploy.local.ownership import require_own
from deploy.local.ports import LOOPBACK
from deploy.local.postgres import running_postgres
from deploy.local.processes import Processes
from deploy.local.renewal import renewing
from deploy.local.restoring import require_restored
from deploy.local.services import Infrastructure, operations_port, running_services, service_ports
from deploy.local.simulator import running_simulator

Part = TypeVar("Part")
Tell = Callable[[str], None]


class DirectoryInUse(Exception):
    """Another stack runs in the same directory."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A running system: its processes, its infrastructure, and the ports of its services."""

    processes: Processes
    parts: Infrastructure
    ports: dict[str, int]

    @property
    def api(self) -> str:
        """Return the address of the gateway."""
        return self.url("gateway")

    def url(self, service: str) -> str:
        """Return the address of a service."""
        return f"http://{LOOPBACK}:{self.ports[service]}"

    def operations(self, service: str) -> str:
        """Return the address of a service's metrics and health."""
        return f"http://{LOOPBACK}:{operations_port(self.ports, service)}"


class Progress:
    """Prints the progress of the start, each line with the seconds since its beginning."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, text: str) -> None:
        """Print one line at once."""
        print(f"{time.monotonic() - self._began:6.1f} s  {text}", flush=True)


@asynccontextmanager
async def running_stack(
    directory: Path,
    tell: Tell,
    *,
    port: int | None = None,
    simulated: bool,
    validity: Validity = RENEWED,
) -> AsyncIterator[Stack]:
    """Run the system with its data in `directory`, the gateway on `port` or on a free one.

    Raises DirectoryInUse, NotRoots, and PartFailed if a program can not be started.
    """
    require_own(directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with alone(directory):
        require_restored(directory)
        processes = Processes(directory / "logs", best_way(directory))
        processes.way.let_pass(directory)
        processes.way.take_all_back(directory)
        async with AsyncExitStack() as stack:
            parts = await _infrastructure(stack, processes, tell, validity, simulated=simulated)
            await stack.enter_async_context(watched(processes, parts.nats, tell))
            await stack.enter_async_context(renewing(processes, parts, tell, validity))
            ports = service_ports(port)
            tell("starting the vault-broker, the sync-worker and the gateway")
            await stack.enter_async_context(running_services(processes, parts, ports))
            tell("all three services are ready")
            write_targets(directory, ports)
            tell(processes.way.words())
            stack.callback(tell, "stopping")
            yield Stack(processes, parts, ports)


async def _infrastructure(
    stack: AsyncExitStack, processes: Processes, tell: Tell, validity: Validity, *, simulated: bool
) -> Infrastructure:
    """Start the servers concurrently; if one fails, stop the others and raise its exception."""
    directory = processes.logs.parent
    tell(f"starting NATS, OpenBao and PostgreSQL; logs in {processes.logs}")

    async def enter(name: str, part: AbstractAsyncContextManager[Part]) -> Part:
        entered = await stack.enter_async_context(part)
        tell(f"{name} is ready")
        return entered

    try:
        async with asyncio.TaskGroup() as group:
            nats = group.create_task(
                enter("NATS with JetStream", running_nats(processes, directory, validity))
            )
            vault = group.create_task(enter("OpenBao", running_openbao(processes, directory, validity)))
            database = group.create_task(enter("PostgreSQL", running_postgres(processes, directory)))
            simulator = (
                group.create_task(enter("the simulated exchange", running_simulator(processes, directory)))
                if simulated
                else None
            )
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return Infrastructure(
        directory, nats.result(), vault.result(), database.result(), simulator.result() if simulator else None
    )


def in_use(directory: Path) -> bool:
    """Return whether a stack runs in a directory; raises NotRoots."""
    try:
        with alone(directory):
            return False
    except DirectoryInUse:
        return True


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Hold the directory's lock, which the kernel releases when this process ends; raises NotRoots."""
    require_own(directory)
    opened = os.open(directory / "lock", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(opened, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DirectoryInUse(f"a stack runs on {directory} already: stop it first") from None
        yield

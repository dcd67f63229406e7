"""NATS servers of these tests: with TLS, and several in a cluster."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import httpx

from deploy.local.nats import READY_SECONDS, Nats
from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.processes import Processes, Program, executable
from deploy.private_files import write_private
from tests.waiting import IN_THE_CLEAR


@asynccontextmanager
async def serving(directory: Path, blocks: Iterable[str]) -> AsyncIterator[list[Nats]]:
    """Run a server for each block of configuration, with the users of the topology, all in one cluster."""
    blocks = list(blocks)
    processes = Processes(directory / "logs")
    clients, routes, monitoring = (free_ports(len(blocks)) for _ in range(3))
    (directory / "keys").mkdir(exist_ok=True)
    names = ", ".join(f'"nats://{LOOPBACK}:{port}"' for port in routes)
    async with AsyncExitStack() as stack:
        servers = []
        for number, block in enumerate(blocks):
            home = directory / f"server-{number}"
            (home / "nats" / "conf").mkdir(parents=True)
            described = Nats.at(home, clients[number], monitoring[number])
            bus = Nats(described.url, directory / "keys", described.home, described.health, described.program)
            bus.configure(())
            cluster = (
                f'cluster {{ name: butler, listen: "{LOOPBACK}:{routes[number]}", routes: [{names}] }}\n'
            )
            told = bus.configuration.read_text().replace("server_name: butler", f"server_name: n{number}")
            write_private(bus.configuration, (told + block + cluster * (len(blocks) > 1)).encode())
            program = Program(f"nats-{number}", [executable("nats-server"), "-c", bus.configuration])
            await stack.enter_async_context(processes.running(program))
            servers.append(bus)
        async with httpx.AsyncClient(verify=IN_THE_CLEAR, timeout=2, trust_env=False) as client:
            for number, bus in enumerate(servers):
                await processes.until(f"nats-{number}", partial(healthy, client, bus), READY_SECONDS)
        yield servers


async def healthy(client: httpx.AsyncClient, bus: Nats) -> bool:
    """Return whether a server is up, and knows who leads its cluster."""
    with suppress(httpx.HTTPError):
        return (await client.get(bus.health)).is_success
    return False

"""The bus: a NATS server with JetStream, one nkey user per service, streams and consumers provisioned."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes

import nkeys

from contracts.bus.provision import provision
from contracts.bus.topology import MAX_PAYLOAD, STREAMS, USERS, server_permissions
from deploy.local.confinement import Reach
from deploy.local.keys import kept, write_private
from deploy.local.ports import LOOPBACK, accepts, kept_port
from deploy.local.processes import Processes, Program, executable

READY_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Nats:
    """Where the bus listens, where each user's seed lies, and where the server tells its health."""

    url: str
    keys: Path
    home: Path
    health: str
    program: Program

    def seed_file(self, user: str) -> Path:
        """Name the file with the seed of a user of the topology."""
        return self.keys / f"{user}.nk"


@asynccontextmanager
async def running_nats(processes: Processes, directory: Path) -> AsyncIterator[Nats]:
    """Run NATS on a free port with its data in `directory/nats`; raises PartFailed."""
    keys, home = directory / "keys", directory / "nats"
    for folder in (keys, home):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    port = kept_port(home / "port")  # subscribers find the bus where it was
    monitoring = kept_port(home / "monitoring-port")
    program = _program(home)
    bus = Nats(f"nats://{LOOPBACK}:{port}", keys, home, f"http://{LOOPBACK}:{monitoring}/healthz", program)
    write_private(home / "nats.conf", _configuration(bus, port, monitoring).encode())
    processes.way.let_pass(home)
    for path in (home / "nats.conf", home / "jetstream"):
        processes.way.hand_over(path, program.name)
    async with processes.running(program):
        await until_it_accepts(processes, bus)
        await provision(bus.url, str(bus.seed_file("admin")))
        yield bus


async def until_it_accepts(processes: Processes, bus: Nats) -> None:
    """Wait until the server takes connections; raises PartFailed."""
    port = int(bus.url.rpartition(":")[2])
    await processes.until("nats", lambda: accepts(port), READY_SECONDS)


def _program(home: Path) -> Program:
    """Describe the server, which may change its streams and nothing else in its folder."""
    server, configuration, streams = executable("nats-server"), home / "nats.conf", home / "jetstream"
    streams.mkdir(mode=0o700, exist_ok=True)
    reach = Reach("nats", (server, configuration), (streams,))
    return Program("nats", [server, "-c", configuration], reach=reach)


def _configuration(bus: Nats, port: int, monitoring: int) -> str:
    public_keys = {
        name: _public_key(bus.seed_file(name)) for name in (*(user.name for user in USERS), "system")
    }
    # Otherwise the server counts on three quarters of the space that is free when it starts.
    space = sum(stream.max_bytes or 0 for stream in STREAMS)
    # `always`: a message that was confirmed survives a power cut.
    return (
        f'server_name: butler\nlisten: "{LOOPBACK}:{port}"\nhttp: "{LOOPBACK}:{monitoring}"\n'
        f'max_payload: {MAX_PAYLOAD}\nwrite_deadline: "10s"\n'
        f'jetstream {{ store_dir: "{bus.home}", max_file_store: {space}, sync_interval: always }}\n'
        f"{server_permissions(public_keys)}"
    )


def _public_key(seed_file: Path) -> str:
    seed = kept(seed_file, _new_seed).read_bytes()
    public_key: bytes = nkeys.from_seed(bytearray(seed)).public_key
    return public_key.decode()


def _new_seed() -> bytes:
    seed: bytes = nkeys.encode_seed(token_bytes(32), nkeys.PREFIX_BYTE_USER)
    return seed

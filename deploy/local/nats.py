"""The bus: a NATS server with JetStream and TLS, one user per service, streams and consumers provisioned.

Server and clients verify each other's certificate; a client's nkey says which user it is.
"""

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from chassis.bus.provision import provision
from chassis.tls import tls_context
from contracts.wire.bus_accounts import server_accounts
from contracts.wire.subscribers import Subscriber
from contracts.wire.topology import MAX_PAYLOAD, STREAMS
from deploy.bus_keys import OWN_USERS, public_keys
from deploy.local.certificates import RENEWED, Validity, make_authority
from deploy.local.confinement import Reach
from deploy.local.ports import LOOPBACK, accepts, kept_port
from deploy.local.processes import Processes, Program, executable
from deploy.local.subscribers import Registry
from deploy.private_files import private_folder, write_changed, write_private

READY_SECONDS = 20
SERVER = "server"
MAX_LABEL = 63  # of a DNS name
TLS_SECONDS = 5  # of a handshake, on a busy machine


@dataclass(frozen=True, slots=True)
class Nats:
    """The addresses of the bus and its health check, and the folders of its keys and data."""

    url: str
    keys: Path
    home: Path
    health: str
    program: Program

    @classmethod
    def at(cls, directory: Path, port: int, monitoring: int) -> Self:
        """Return the bus of a stack."""
        home = directory / "nats"
        server, configuration, streams = executable("nats-server"), home / "conf", home / "jetstream"
        reach = Reach("nats", (server, configuration), (streams,))
        program = Program("nats", [server, "-c", configuration / "nats.conf"], reach=reach)
        health = f"http://{LOOPBACK}:{monitoring}/healthz"
        return cls(f"nats://{LOOPBACK}:{port}", directory / "keys", home, health, program)

    @classmethod
    def of(cls, directory: Path) -> Self:
        """Return the bus of a stack that was started before; raises OSError if its files are missing."""
        home = directory / "nats"
        return cls.at(
            directory, int((home / "port").read_text()), int((home / "monitoring-port").read_text())
        )

    @property
    def registry(self) -> Registry:
        """Return the registry of its subscribers."""
        return Registry(self.home / "subscribers.json", self.keys)

    @property
    def configuration(self) -> Path:
        """Return the path of the configuration; the server may read its folder, so a reload works."""
        return self.home / "conf" / "nats.conf"

    @property
    def streams(self) -> Path:
        """Return the folder of the streams, which the server may change."""
        return self.home / "jetstream"

    def seed_file(self, user: str) -> Path:
        """Return the path of the seed of a user of the topology."""
        return self.keys / f"{user}.nk"

    @property
    def ca(self) -> Path:
        """Return the path of the authority of all certificates of the bus."""
        return self.keys / "nats" / "ca.pem"

    def certificate(self, user: str) -> Path:
        """Return the path of a user's certificate and key, in one file."""
        return self.ca.with_name(f"{user}.pem")

    def context(self, user: str) -> ssl.SSLContext:
        """Return the context of a user's connections; raises OSError if the bus was never configured."""
        return tls_context(str(self.ca), str(self.certificate(user)), str(self.certificate(user)))

    def configure(self, subscribers: tuple[Subscriber, ...], validity: Validity = RENEWED) -> None:
        """Write the server's configuration with these subscribers, and their certificates."""
        self.identify(subscribers, validity)
        self.write(_configuration(self, subscribers))

    def identify(self, subscribers: tuple[Subscriber, ...], validity: Validity = RENEWED) -> bool:
        """Replace certificates that end soon; returns whether the server must read its own again."""
        authority = make_authority(private_folder(self.ca.parent), "Crypto Pocket Butler, bus", validity)
        for user in (*OWN_USERS, *(each.name for each in subscribers)):
            authority.issue_file([user[:MAX_LABEL]], self.certificate(user))
        server = authority.issue_file([LOOPBACK], self.certificate(SERVER))
        read = {"ca.pem": self.ca.read_bytes(), "server.pem": server.read_bytes()}
        folder = self.configuration.parent
        owner = self._server_user()
        replaced = [write_changed(folder / name, text, owner) for name, text in read.items()]
        return any(replaced)

    def write(self, configuration: str) -> None:
        """Write a configuration; the server reads it at the next start or reload."""
        write_private(self.configuration, configuration.encode(), self._server_user())

    def _server_user(self) -> tuple[int, int] | None:
        folder = self.configuration.parent.stat()  # the server runs as the folder's owner
        return (folder.st_uid, folder.st_gid) if os.geteuid() == 0 else None


@asynccontextmanager
async def running_nats(
    processes: Processes, directory: Path, validity: Validity = RENEWED
) -> AsyncIterator[Nats]:
    """Run NATS on a free port with its data in `directory/nats`; raises PartFailed."""
    home = private_folder(directory / "nats")
    private_folder(directory / "keys")
    # Subscribers need the same port after a restart.
    bus = Nats.at(directory, kept_port(home / "port"), kept_port(home / "monitoring-port"))
    processes.way.let_pass(home)
    for path in (bus.configuration.parent, bus.streams):
        processes.way.hand_over(private_folder(path), bus.program.name)
    with bus.registry.held() as subscribers:
        bus.configure(subscribers, validity)
    async with processes.running(bus.program):
        await until_it_accepts(processes, bus)
        admin = str(bus.seed_file("admin"))
        await provision(bus.url, admin, bus.registry.subscribers(), tls=bus.context("admin"))
        bus.registry.settle()
        yield bus


async def until_it_accepts(processes: Processes, bus: Nats) -> None:
    """Wait until the server accepts connections; raises PartFailed."""
    port = int(bus.url.rpartition(":")[2])
    await processes.until("nats", lambda: accepts(port), READY_SECONDS)


def _configuration(bus: Nats, subscribers: tuple[Subscriber, ...]) -> str:
    # Otherwise the server limits storage to three quarters of the space that is free at its start.
    space = sum(stream.max_bytes or 0 for stream in STREAMS)
    folder = bus.configuration.parent
    # `always`: confirmed messages survive a power failure.
    return (
        f'server_name: butler\nlisten: "{bus.url.removeprefix("nats://")}"\n'
        f'http: "{bus.health.removeprefix("http://").removesuffix("/healthz")}"\n'
        f'max_payload: {MAX_PAYLOAD}\nwrite_deadline: "10s"\n'
        f'jetstream {{ store_dir: "{bus.home}", max_file_store: {space}, sync_interval: always }}\n'
        f'tls {{ cert_file: "{folder / "server.pem"}", key_file: "{folder / "server.pem"}", '
        f'ca_file: "{folder / "ca.pem"}", verify: true, handshake_first: true, timeout: {TLS_SECONDS} }}\n'
        f"{server_accounts(public_keys(bus.keys), subscribers)}"
    )

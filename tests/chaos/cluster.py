"""NATS as a cluster, configured by the manifests of production: each server can be killed or cut off."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager, suppress
from dataclasses import replace
from functools import cache, partial
from itertools import permutations
from pathlib import Path
from signal import SIGKILL, SIGTERM

import httpx
import psutil
from nats.aio.client import Client
from nats.errors import Error

from chassis.bus.provision import arguments, provision
from contracts.wire.bus_users import USERS
from contracts.wire.topology import STREAMS
from deploy.kubernetes.secrets import objects
from deploy.local.certificates import make_authority
from deploy.local.nats import Nats
from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.processes import PLAIN_ENVIRONMENT, Program, executable
from deploy.private_files import private_folder
from tests.chaos.blackhole import Blackhole
from tests.chaos.parts import Part
from tests.kubernetes.manifests import Workload, of_kind, workload
from tests.kubernetes.providing import Contents, contents, write_server
from tests.waiting import IN_THE_CLEAR, until

OVERLAY = "production"
START_SECONDS = 30
SIGNAL_SECONDS = 10
# How long the Job of the bus is repeated, as Kubernetes does: healthy servers may have no leader yet.
PROVISION_SECONDS = 90
# How long a server that leaves keeps its clients; the rules do not depend on it.
GRACE, SHORT_GRACE = 'lame_duck_grace_period: "10s"', 'lame_duck_grace_period: "2s"'
# Where nothing listens. The servers would tell each other their addresses, and so go around the ways that a
# test cuts.
NOWHERE = f"{LOOPBACK}:1"


@cache
def pod() -> Workload:
    """Return the pod of a server."""
    return workload(OVERLAY, "nats")


def names() -> list[str]:
    """Return the names of the pods."""
    (nats,) = (each for each in of_kind(OVERLAY, "StatefulSet") if each["metadata"]["name"] == "nats")
    return [f"nats-{number}" for number in range(nats["spec"]["replicas"])]


class Server(Part):
    """One server, with its files in a folder of its own."""

    def __init__(self, directory: Path, name: str) -> None:
        super().__init__(directory, name)
        self._folder = directory / name
        self.client, self.routes, self._monitoring = free_ports(3)

    def configure(self, existing: Contents, routes: dict[str, int]) -> None:
        """Write the pod's files, with the ports of this machine; `routes` are those that lead to others."""
        configuration = write_server(OVERLAY, self._folder, existing)
        own = {"4222": self.client, "6222": self.routes, "8222": self._monitoring}
        changed = {f'"0.0.0.0:{port}"': f'"{LOOPBACK}:{here}"' for port, here in own.items()}
        for name, port in ({self.name: self.routes} | routes).items():
            changed[f"{name}.nats-servers:6222"] = f"{LOOPBACK}:{port}"
        changed[GRACE] = SHORT_GRACE
        changed["cluster {"] = f'cluster {{\n  advertise: "{NOWHERE}"'
        for path in configuration.parent.glob("*.conf"):
            text = path.read_text()
            for before, after in changed.items():
                text = text.replace(before, after)
            assert "0.0.0.0:" not in text
            assert "nats-servers" not in text
            path.write_text(text)
        self._place("/var/run/nats").mkdir(parents=True)

    async def start(self) -> None:
        """Start it on its data, without waiting until it is healthy."""
        program = Program(
            self.name,
            [executable("nats-server"), "--config", self._place("/etc/nats/nats.conf")],
            PLAIN_ENVIRONMENT | {"POD_NAME": self.name},
        )
        await self.enter(lambda processes: processes.running(program))

    async def healthy(self) -> bool:
        """Return whether it passes the probe of its start: all its streams are up to date."""
        path = pod().container["startupProbe"]["httpGet"]["path"]
        async with httpx.AsyncClient(verify=IN_THE_CLEAR, timeout=5, trust_env=False) as client:
            with suppress(httpx.TransportError):
                return (await client.get(f"http://{LOOPBACK}:{self._monitoring}{path}")).is_success
        return False

    async def leave(self) -> None:
        """End it as the kubelet ends its pod: first preStop, then SIGTERM."""
        server, option = pod().container["lifecycle"]["preStop"]["exec"]["command"]
        signal, _, path = option.partition("=ldm=")
        command = (executable(server), f"{signal}=ldm={self._place(path)}")
        asked = await asyncio.create_subprocess_exec(*command)
        assert await asyncio.wait_for(asked.wait(), SIGNAL_SECONDS) == 0
        await self.end(SIGTERM)

    def _place(self, path: str) -> Path:
        return self._folder / path.removeprefix("/")


@contextmanager
def _closed(relays: Sequence[Blackhole], how: Callable[[Blackhole], None]) -> Iterator[None]:
    """Close relays, and open them again."""
    for relay in relays:
        how(relay)
    try:
        yield
    finally:
        for relay in relays:
            relay.open()


class Cluster:
    """The servers, a relay to each for its clients, and one for each way from a server to another."""

    def __init__(self, directory: Path) -> None:
        self.servers = {name: Server(directory, name) for name in names()}
        self._directory = directory
        self._doors = {name: Blackhole(server.client) for name, server in self.servers.items()}
        self._ways = {
            (one, other): Blackhole(self.servers[other].routes)
            for one, other in permutations(self.servers, 2)
        }
        self._relays = AsyncExitStack()
        self._bus = Nats.at(directory, 0, 0)
        self.urls = [f"nats://{LOOPBACK}:{door.port}" for door in self._doors.values()]

    async def start(self) -> Nats:
        """Start all servers and provision them as the Job does; return the bus with its users' keys."""
        keys = private_folder(self._directory / "keys")
        existing = contents(OVERLAY, objects(keys, "butler")) | {("Secret", "nats-tls"): self._certificate()}
        for relay in (*self._doors.values(), *self._ways.values()):
            await self._relays.enter_async_context(relay)
        for name, server in self.servers.items():
            ways = {other: way.port for (one, other), way in self._ways.items() if one == name}
            server.configure(existing, ways)
            await server.start()
        await until(self.healthy, START_SECONDS)
        await until(partial(self._provisioned, str(keys / "admin.nk")), PROVISION_SECONDS)
        return replace(self._bus, url=",".join(self.urls))

    async def _provisioned(self, admin: str) -> bool:
        """Run the command of the Job once, and return whether it succeeded."""
        told = arguments(workload(OVERLAY, "provision-bus").container["args"])
        with suppress(Error, TimeoutError):
            await provision(self.urls[0], admin, replicas=told.replicas, tls=self._bus.context("admin"))
            return True
        return False

    async def healthy(self) -> bool:
        """Return whether all servers are."""
        return all([await server.healthy() for server in self.servers.values()])

    async def leader(self, bus: Client, stream: str) -> Server:
        """Return the server that leads a stream."""
        cluster = (await bus.jetstream().stream_info(stream)).cluster
        assert cluster is not None
        assert cluster.leader is not None
        return self.servers[cluster.leader]

    async def complete(self, bus: Client) -> bool:
        """Return whether each stream is up to date on all servers."""
        with suppress(Error, TimeoutError):  # a stream without a leader does not answer
            infos = [await bus.jetstream().stream_info(str(stream.name)) for stream in STREAMS]
            followers = [(info.cluster and info.cluster.replicas) or [] for info in infos]
            return all(
                len(peers) == len(self.servers) - 1 and all(peer.current for peer in peers)
                for peers in followers
            )
        return False

    def cut_off(self, server: Server) -> AbstractContextManager[None]:
        """Drop all packets between a server and the others, and its clients; no end is notified."""
        return _closed([self._doors[server.name], *self._routes(server)], Blackhole.shut)

    def without_routes(
        self, server: Server, how: Callable[[Blackhole], None]
    ) -> AbstractContextManager[None]:
        """Cut the routes between a server and the others, but not its clients, by `shut` or `cut`."""
        return _closed(self._routes(server), how)

    def only_to(self, server: Server) -> AbstractContextManager[None]:
        """End all connections of clients to other servers, and refuse new ones."""
        return _closed([door for name, door in self._doors.items() if name != server.name], Blackhole.cut)

    def _routes(self, server: Server) -> list[Blackhole]:
        return [way for ends, way in self._ways.items() if server.name in ends]

    async def stop(self) -> None:
        """Stop all servers at once, and the relays."""
        for server in self.servers.values():
            with suppress(FileNotFoundError, psutil.NoSuchProcess):  # it was not started, or has ended
                server.process.send_signal(SIGKILL)
        for server in self.servers.values():
            await server.close()
        await self._relays.aclose()

    def _certificate(self) -> dict[str, bytes]:
        """Return the Secret of the servers' certificate; makes those of its clients, too."""
        authority = make_authority(private_folder(self._bus.ca.parent), "tests")
        for user in (each.name for each in USERS):
            authority.issue_file([user], self._bus.certificate(user))
        server = authority.issue([LOOPBACK])
        paths = {"tls.crt": server.certificate_path, "tls.key": server.key_path, "ca.crt": self._bus.ca}
        return {key: path.read_bytes() for key, path in paths.items()}

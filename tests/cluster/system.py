"""The whole system in containers, as an overlay's manifests say, started in the order of its README."""

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from testcontainers.core.network import Network

from deploy.local.nats import Nats
from deploy.local.openbao import OpenBao
from deploy.local.ports import LOOPBACK
from deploy.local.postgres import Postgres
from deploy.local.processes import Processes
from deploy.local.services import OPERATIONS, OPTIONAL, Infrastructure
from deploy.local.simulator import Simulator
from deploy.local.stack import Stack
from deploy.private_files import write_private
from tests.cluster.dev_vault import IMAGE, ROOT_TOKEN, DevVault, in_development
from tests.cluster.images import WITHOUT_TLS, image_of
from tests.cluster.pods import Pod
from tests.cluster.reloaders import Reloader
from tests.cluster.stand_in import HOST, StandIn, with_tls, without_tls
from tests.cluster.translating import File, Settings, Volume, reloader_of, translated
from tests.joining import SecuredNats
from tests.kubernetes.providing import Contents, authority, contents, printed
from tests.loading import UNLIMITED
from tests.waiting import until
from vault_broker.auth_methods import Method, kubernetes

OVERLAY = "demo"
SERVERS = ("nats", "database", "openbao", "exchange")
JOBS = ("provision-bus", "provision-database", "provision-vault")
SERVICES = ("vault-broker", "sync-worker", "gateway")
JOB_SECONDS = 120.0
INIT = ("bao", "operator", "init", "-recovery-shares=1", "-recovery-threshold=1", "-format=json")
# The engine publishes on the loopback interface only.
NETWORK = {"options": {"com.docker.network.bridge.host_binding_ipv4": LOOPBACK}}


class ContainerSystem:
    """All pods of an overlay by their workloads' names, and a folder with keys as its operator has it."""

    def __init__(self, directory: Path, network: Network, accounts: bytes | None = None) -> None:
        self.directory, self.keys = directory, directory / "keys"
        self.pods: dict[str, Pod] = {}
        self._network, self._accounts = network, accounts
        self._stand_in = StandIn()
        # The objects of the operator; before the first `apply` of a test those that its folder makes.
        self.applied: tuple[dict[str, Any], ...] = ()

    async def start(self) -> None:
        """Start everything in the order of the README, and wait until it is ready."""
        authority().cert_pem.write_to_path(str(self.directory / "ca.pem"))
        await asyncio.to_thread(printed, self.keys)
        exchange = self._settings("exchange", contents(OVERLAY))
        self.pods[HOST] = Pod(self._stand_in.settings(exchange), self._network)
        await asyncio.gather(self.pods[HOST].start(), self._start(SERVERS))
        vault = self.pods["openbao"]
        await until(lambda: vault.probed("startupProbe"), JOB_SECONDS)
        made = isinstance(vault, DevVault)  # it comes with a root token, and knows no `bao`
        token = ROOT_TOKEN if made else json.loads(await vault.run(*INIT))["root_token"]
        write_private(self.keys / "vault.token", token.encode())
        await asyncio.gather(*(self.pods[name].until_ready() for name in SERVERS))
        await self._start(JOBS)
        for name in JOBS:
            await until(self.pods[name].succeeded, JOB_SECONDS)
        write_private(self.keys / "fingerprints.env", self.pods["provision-vault"].logs().encode())
        await self._start(SERVICES)
        await asyncio.gather(*(self.pods[name].until_ready() for name in SERVICES))
        (self.directory / "broker.token").write_bytes(self._stand_in.issue("vault-broker", "vault"))

    async def _start(self, names: Iterable[str]) -> None:
        """Start workloads with the objects that exist now."""
        existing = await asyncio.to_thread(self._existing)
        for name in names:
            settings = self._settings(name, existing)
            if settings.image.startswith(WITHOUT_TLS):
                exchange = self._settings("exchange", existing)
                self.pods["database-tls"] = Pod(with_tls(settings, exchange), self._network)
                await self.pods["database-tls"].start()
                settings = without_tls(settings)
            self.pods[name] = self._pod(settings, name)
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(self.pods[name].start())

    def _settings(self, name: str, existing: Contents) -> Settings:
        """Return the settings of a workload's pod, with the image that runs here."""
        told = translated(OVERLAY, name, existing, self._stand_in.issue)
        return replace(told, image=image_of(told.image))

    async def another(self, name: str, image: str | None = None, number: int | str = "next") -> Pod:
        """Return a further pod of a service, with an image of its own; the caller starts and removes it."""
        told = self._settings(name, await asyncio.to_thread(self._existing))
        return self._pod(replace(told, image=image or told.image, pod=f"{name}-{number}"), name)

    async def refresh(self, name: str) -> None:
        """Bring today's objects into the files of a pod."""
        told = self._settings(name, await asyncio.to_thread(self._existing))
        await self.pods[name].refresh(told.volumes)

    async def reloader(self, name: str) -> Reloader:
        """Return the reloader of a server; the caller starts and removes it."""
        told = reloader_of(OVERLAY, name, await asyncio.to_thread(self._existing))
        server = self.pods.get(f"{name}-tls") or self.pods[name]
        return Reloader(replace(told, image=image_of(told.image)), self._network, server)

    async def renew(self, name: str, reloader: Reloader) -> bytes:
        """Bring another certificate into the files of a server and its reloader, and return it (PEM)."""
        existing = await asyncio.to_thread(self._existing)
        await reloader.refresh(reloader_of(OVERLAY, name, existing).volumes)
        told = self._settings(name, existing)
        if reloader.server is not self.pods[name]:
            told = with_tls(told, self._settings("exchange", existing))
        await reloader.server.refresh(told.volumes)
        return existing["Secret", f"{name}-tls"]["tls.crt"]

    def _existing(self) -> Contents:
        """Return the objects of the cluster; its certificates are valid for the published ports, too."""
        existing = contents(OVERLAY, self.applied or printed(self.keys), LOOPBACK)
        existing["ConfigMap", "kube-root-ca.crt"] = {"ca.crt": authority().cert_pem.bytes()}
        return existing

    def _pod(self, settings: Settings, name: str) -> Pod:
        """Return a pod with what tests add: the caller's limits, and the accounts of a module of tests."""
        environ = UNLIMITED | os.environ
        told = {each: environ[each] for each in OPTIONAL.get(name, ()) if each in environ}
        added = {each: value for each, value in told.items() if each not in settings.environment}
        if name == "openbao" and os.environ.get(IMAGE):
            return DevVault(in_development(settings), self._network)
        if name != "exchange" or self._accounts is None:
            return Pod(settings, self._network, added=added)
        volume = Volume("/accounts", read_only=True, files={"accounts.toml": File(self._accounts, 0o444)})
        words = ("--accounts=/accounts/accounts.toml",)
        return Pod(settings, self._network, added=added, words=words, extra=(volume,))

    @property
    def nats(self) -> Nats:
        """Return the bus, as clients on this machine reach it."""
        tls = ssl.create_default_context(cafile=self.directory / "ca.pem")
        authority().issue_cert("tests").configure_cert(tls)
        pod = self.pods["nats"]
        health = f"http://{LOOPBACK}:{pod.ports['monitor']}/healthz"
        url = f"nats://{LOOPBACK}:{pod.ports['nats']}"
        # Its program and configuration are the pod's.
        local = Nats.at(self.directory, pod.ports["nats"], pod.ports["monitor"])
        return SecuredNats(url, self.keys, self.directory / "nats", health, local.program, tls)

    @property
    def database(self) -> Postgres:
        """Return the database, as clients on this machine reach it."""
        pod = self.pods.get("database-tls") or self.pods["database"]
        return Postgres(pod.ports["postgres"], self.keys)

    @property
    def vault(self) -> OpenBao:
        """Return the vault, as clients on this machine reach it; its broker has no AppRole."""
        absent = self.directory / "absent"
        url = f"https://{LOOPBACK}:{self.pods['openbao'].ports['api']}"
        return OpenBao(absent, absent, self.keys / "fingerprints.env", url, self.directory / "ca.pem")

    @property
    def exchange(self) -> Simulator:
        """Return the exchange, as clients on this machine reach it."""
        ports = self.pods["exchange"].ports
        urls = {name.removeprefix("okx-"): f"https://{LOOPBACK}:{port}" for name, port in ports.items()}
        return Simulator({"okx": urls}, str(self.directory / "ca.pem"))

    @property
    def login(self) -> Method:
        """Return the broker's login."""
        return kubernetes(self.directory / "broker.token")

    @property
    def stack(self) -> Stack:
        """Return the system as tests of the local stack see it; it has no process of this machine."""
        parts = Infrastructure(self.directory, self.nats, self.vault, self.database, self.exchange)
        ports = {name: self.pods[name].ports["operations"] for name in SERVICES}
        api = {"gateway": self.pods["gateway"].ports["api"], OPERATIONS: ports["gateway"]}
        return Stack(Processes(self.directory / "logs"), parts, ports | api)

    def remove(self) -> None:
        """Delete all containers and volumes."""
        for pod in self.pods.values():
            pod.remove()


@asynccontextmanager
async def running_containers(
    directory: Path, accounts: bytes | None = None
) -> AsyncIterator[ContainerSystem]:
    """Run the system in a network of its own, and delete all of it at the end, also after a failure."""
    with Network(docker_network_kw=NETWORK) as network:
        system = ContainerSystem(directory, network, accounts)
        try:
            await system.start()
            yield system
        finally:
            await asyncio.to_thread(system.remove)

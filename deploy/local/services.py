"""The three services as programs of the stack, configured by their environment."""

import asyncio
import compileall
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from chassis.inheriting import LISTEN_FD
from chassis.serve import BACKLOG
from contracts.exchanges import EXCHANGES
from contracts.prices import ECB
from deploy.database.passwords import for_service
from deploy.local.confinement import CODE, Reach, Way, best_way, python
from deploy.local.nats import Nats
from deploy.local.openbao import OpenBao
from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.postgres import GATEWAY, Postgres
from deploy.local.processes import PLAIN_ENVIRONMENT, Processes, Program
from deploy.local.simulator import Simulator
from deploy.private_files import kept, private_folder, write_changed, write_private
from deploy.signing_keys import new_key, public_pem
from gateway.settings import OPTIONAL as OF_GATEWAY
from sync_worker.exchanges import OPTIONAL as OF_EXCHANGES
from sync_worker.settings import BANK, origin_setting
from sync_worker.settings import OPTIONAL as OF_WORKER
from vault_broker.settings import OPTIONAL as OF_BROKER

READY_SECONDS = 60
CALL_SECONDS = 5
MODULES = {"vault-broker": "vault_broker", "sync-worker": "sync_worker", "gateway": "gateway"}
# The key of the gateway's operations port among the ports of the services.
OPERATIONS = "operations"
OPTIONAL = {"gateway": OF_GATEWAY, "sync-worker": (*OF_WORKER, *OF_EXCHANGES), "vault-broker": OF_BROKER}
FILES = ("_FILE", "_CACERT", "_CERTIFICATE")  # suffixes of settings that are paths


@dataclass(frozen=True, slots=True)
class Infrastructure:
    """The servers that the services need; without a simulator the worker calls the real exchanges."""

    directory: Path
    nats: Nats
    vault: OpenBao
    database: Postgres
    simulator: Simulator | None


def service_ports(gateway: int | None = None) -> dict[str, int]:
    """Return free ports for the services and the gateway's operations; `gateway` sets the API's port."""
    ports = dict(zip((*MODULES, OPERATIONS), free_ports(len(MODULES) + 1), strict=True))
    return ports | ({"gateway": gateway} if gateway else {})


def operations_port(ports: Mapping[str, int], service: str) -> int:
    """Return the port of a service for metrics and health."""
    return ports[OPERATIONS] if service == "gateway" else ports[service]


def environments(
    parts: Infrastructure, ports: Mapping[str, int], way: Way | None = None
) -> dict[str, dict[str, str]]:
    """Return the settings of each service, with copies of its files and the caller's optional settings."""
    own = {
        "gateway": _gateway(parts),
        "sync-worker": _sync_worker(parts),
        "vault-broker": _vault_broker(parts),
    }
    told = {
        name: {
            **PLAIN_ENVIRONMENT,
            **{each: os.environ[each] for each in OPTIONAL[name] if each in os.environ},
            "LISTEN_HOST": LOOPBACK,
            "PORT": str(ports[name]),
            "OPERATIONS_PORT": str(operations_port(ports, name)),
            "NATS_URL": parts.nats.url,
            "NATS_NKEY_FILE": str(parts.nats.seed_file(name)),
            **nats_files(parts.nats, name),
            **settings,
        }
        for name, settings in own.items()
    }
    return {name: with_own_files(parts.directory, name, told[name], way or best_way()) for name in told}


def programs(parts: Infrastructure, ports: Mapping[str, int], way: Way) -> list[Program]:
    """Return the programs of the three services, each with access to its code and its own files."""
    settings = environments(parts, ports, way)
    reached = {name: [*python(), own_folder(parts.directory, name)] for name in MODULES}
    if parts.database.sockets:
        reached["gateway"].append(Path(parts.database.host("gateway")))
    return [
        Program(name, [sys.executable, "-m", module], settings[name], Reach(name, tuple(reached[name])))
        for name, module in MODULES.items()
    ]


@asynccontextmanager
async def running_services(
    processes: Processes, parts: Infrastructure, ports: Mapping[str, int]
) -> AsyncIterator[None]:
    """Run the three services until they are ready; the gateway stops first. Raises PartFailed."""
    for folder in CODE:  # services of other users can not write bytecode
        await asyncio.to_thread(compileall.compile_dir, folder, quiet=2)
    async with AsyncExitStack() as stack:
        api = stack.enter_context(socket.create_server((LOOPBACK, ports["gateway"]), backlog=BACKLOG))
        for program in programs(parts, ports, processes.way):
            # Connections wait in it while the gateway's process is replaced.
            own = {LISTEN_FD: api.fileno()} if program.name == "gateway" else {}
            await stack.enter_async_context(processes.running(replace(program, descriptors=own)))
        for name in MODULES:
            await until_ready(processes, ports, name)
        yield


async def until_ready(processes: Processes, ports: Mapping[str, int], name: str) -> None:
    """Wait until a service is ready and has the bus; raises PartFailed."""
    port = operations_port(ports, name)
    async with httpx.AsyncClient(timeout=CALL_SECONDS, trust_env=False) as client:
        await processes.until(name, lambda: _ready(client, port), READY_SECONDS)


def nats_files(bus: Nats, service: str) -> dict[str, str]:
    """Return the settings of a service for TLS to the bus."""
    own = str(bus.certificate(service))
    return {"NATS_CA_FILE": str(bus.ca), "NATS_CERT_FILE": own, "NATS_KEY_FILE": own}


def renew_files(parts: Infrastructure, way: Way) -> None:
    """Give the services their certificates for the bus again, which they read for each connection."""
    for name in MODULES:
        with_own_files(parts.directory, name, nats_files(parts.nats, name), way)


def own_folder(directory: Path, service: str) -> Path:
    """Return the folder with the files of a service."""
    return directory / "services" / service


def with_own_files(directory: Path, service: str, settings: Mapping[str, str], way: Way) -> dict[str, str]:
    """Copy the files that settings name to the service's folder, and return settings that name the copies.

    Settings with unreadable files stay unchanged, because the service then reports the setting.
    """
    folder = own_folder(directory, service)
    way.let_pass(private_folder(folder.parent))
    private_folder(folder)
    named = {name: Path(text) for name, text in settings.items() if name.endswith(FILES) and text}
    # A file that two settings name stays one file, which is replaced at once.
    copies = {path: folder / (name.lower() + path.suffix) for name, path in reversed(named.items())}
    own = {name: str(_copied(path, copies[path])) for name, path in named.items() if os.access(path, os.R_OK)}
    way.hand_over(folder, service)
    return {**settings, **own}


def _copied(path: Path, copy: Path) -> Path:
    """Copy a file only if it is new or has changed, because a running service may read its copy meanwhile.

    Root follows only its own links, because the file may be in the folder of a program. Raises OSError.
    """
    followed = os.geteuid() != 0 or path.lstat().st_uid == 0
    with os.fdopen(os.open(path, os.O_RDONLY | (0 if followed else os.O_NOFOLLOW)), "rb") as file:
        content = file.read()
    write_changed(copy, content)
    return copy


async def _ready(client: httpx.AsyncClient, port: int) -> bool:
    """Return whether a service is ready and has the bus; a gateway without the bus is ready but degraded."""
    try:
        answer = await client.get(f"http://{LOOPBACK}:{port}/readyz")
    except httpx.TransportError:
        return False
    return answer.is_success and "nats" not in answer.json()["degraded"]


def _gateway(parts: Infrastructure) -> dict[str, str]:
    keys = parts.directory / "keys"
    return {
        "DATABASE_URL": parts.database.url(GATEWAY),
        "DATABASE_PASSWORD_FILE": str(for_service(parts.database.keys, GATEWAY)),
        "JWT_PRIVATE_KEY_FILE": str(kept(keys / "jwt.pem", new_key)),
        "GRANT_PRIVATE_KEY_FILE": str(kept(keys / "grant.pem", new_key)),
        **parts.vault.fingerprints,
    }


def _sync_worker(parts: Infrastructure) -> dict[str, str]:
    """Return the origins of all simulated exchanges and their CA; empty without a simulator."""
    if parts.simulator is None:
        return {}
    origins = {
        origin_setting(exchange, name): url
        for exchange in EXCHANGES
        for name, url in parts.simulator.exchanges[exchange].items()
    }
    bank = "".join(parts.simulator.exchanges.get(ECB, {}).values())
    return {**origins, BANK: bank, "EXCHANGE_CA_FILE": parts.simulator.ca}


def _vault_broker(parts: Infrastructure) -> dict[str, str]:
    private = kept(parts.directory / "keys" / "grant.pem", new_key)
    public = write_private(private.with_name("grant-public.pem"), public_pem(private.read_bytes()))
    return {
        "VAULT_ADDR": parts.vault.url,
        "VAULT_CACERT": str(parts.vault.ca),
        "VAULT_ROLE_ID_FILE": str(parts.vault.role_id_file),
        "VAULT_SECRET_ID_FILE": str(parts.vault.secret_id_file),
        "VAULT_KUBERNETES_TOKEN_FILE": "",  # no cluster admits the local broker
        "GRANT_PUBLIC_KEY_FILE": str(public),
    }

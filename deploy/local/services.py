"""The three services as programs of the stack, each told by its environment what it needs."""

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from deploy.local.exchange import Exchange
from deploy.local.keys import kept, write_private
from deploy.local.nats import Nats
from deploy.local.openbao import OpenBao
from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.postgres import GATEWAY, Postgres
from deploy.local.processes import Processes, Program

READY_SECONDS = 60
CALL_SECONDS = 5
MODULES = {"vault-broker": "vault_broker", "sync-worker": "sync_worker", "gateway": "gateway"}
# The name of the gateway's second port among those of the services.
OPERATIONS = "operations"


@dataclass(frozen=True, slots=True)
class Infrastructure:
    """What the services stand on; without an exchange of its own the worker calls the real ones."""

    directory: Path
    nats: Nats
    vault: OpenBao
    database: Postgres
    exchange: Exchange | None


def service_ports(gateway: int | None = None) -> dict[str, int]:
    """Find a free port for each service, and for the gateway, whose port may be given, one of operations."""
    ports = dict(zip((*MODULES, OPERATIONS), free_ports(len(MODULES) + 1), strict=True))
    return ports | ({"gateway": gateway} if gateway else {})


def operations_port(ports: Mapping[str, int], service: str) -> int:
    """Give the port of a service that has its metrics and tells how it is."""
    return ports[OPERATIONS] if service == "gateway" else ports[service]


def environments(parts: Infrastructure, ports: Mapping[str, int]) -> dict[str, dict[str, str]]:
    """Give each service its settings; the caller's environment may add those that are optional."""
    own = {
        "gateway": _gateway(parts),
        "sync-worker": _sync_worker(parts),
        "vault-broker": _vault_broker(parts),
    }
    return {
        name: {
            **os.environ,
            "LISTEN_HOST": LOOPBACK,
            "PORT": str(ports[name]),
            "OPERATIONS_PORT": str(operations_port(ports, name)),
            "NATS_URL": parts.nats.url,
            "NATS_NKEY_FILE": str(parts.nats.seed_file(name)),
            **settings,
        }
        for name, settings in own.items()
    }


@asynccontextmanager
async def running_services(
    processes: Processes, parts: Infrastructure, ports: Mapping[str, int]
) -> AsyncIterator[None]:
    """Run the three services until they are ready; the gateway stops first. Raises PartFailed."""
    settings = environments(parts, ports)
    async with AsyncExitStack() as stack:
        for name, module in MODULES.items():
            program = Program(name, [sys.executable, "-m", module], settings[name])
            await stack.enter_async_context(processes.running(program))
        async with httpx.AsyncClient(timeout=CALL_SECONDS, trust_env=False) as client:
            for name in MODULES:
                port = operations_port(ports, name)
                await processes.until(name, lambda port=port: _ready(client, port), READY_SECONDS)  # type: ignore[misc]
        yield


async def _ready(client: httpx.AsyncClient, port: int) -> bool:
    """Tell whether a service can do its work, and all of it: a gateway without the bus does less."""
    try:
        answer = await client.get(f"http://{LOOPBACK}:{port}/readyz")
    except httpx.TransportError:
        return False
    return answer.is_success and "nats" not in answer.json()["degraded"]


def _gateway(parts: Infrastructure) -> dict[str, str]:
    keys = parts.directory / "keys"
    return {
        "DATABASE_URL": parts.database.url(GATEWAY),
        "DATABASE_PASSWORD_FILE": str(parts.database.password_file(GATEWAY)),
        "JWT_PRIVATE_KEY_FILE": str(kept(keys / "jwt.pem", _new_key)),
        "GRANT_PRIVATE_KEY_FILE": str(kept(keys / "grant.pem", _new_key)),
    }


def _sync_worker(parts: Infrastructure) -> dict[str, str]:
    if parts.exchange is None:
        return {}
    hosts = {f"OKX_{region.upper()}_URL": url for region, url in parts.exchange.regions.items()}
    return {**hosts, "EXCHANGE_CA_FILE": parts.exchange.ca}


def _vault_broker(parts: Infrastructure) -> dict[str, str]:
    private = kept(parts.directory / "keys" / "grant.pem", _new_key)
    public = write_private(private.with_name("grant-public.pem"), _public_pem(private.read_bytes()))
    return {
        "VAULT_ADDR": parts.vault.url,
        "VAULT_CACERT": str(parts.vault.ca),
        "VAULT_ROLE_ID_FILE": str(parts.vault.role_id_file),
        "VAULT_SECRET_ID_FILE": str(parts.vault.secret_id_file),
        "GRANT_PUBLIC_KEY_FILE": str(public),
    }


def _new_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public_pem(private: bytes) -> bytes:
    public = load_pem_private_key(private, password=None).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

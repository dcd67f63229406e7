"""The recovery key updates an earlier vault, whichever step is killed, and only when needed."""

import asyncio
import json
import signal
import ssl
import subprocess
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree, rmtree

import httpx
import psutil
import pytest
import pytest_asyncio

from contracts.wire.pinning import sealing_key_fingerprint, wrapping_key_fingerprint
from contracts.wire.sealing import SealingKey
from deploy.local.openbao import OpenBao, running_openbao
from deploy.local.processes import PartFailed, Processes
from deploy.vault.root_token import ATTEMPT
from tests.deploy.earlier import BEFORE, TODAY, Tree, tree_of
from tests.deploy.test_broker_policy import login_of
from tests.waiting import until
from vault_broker.auth_methods import approle
from vault_broker.credentials import Credentials
from vault_broker.vault import Vault
from vault_broker.vault_login import Login

PLACES = ("secret/data/sealing-key", "secret/data/credentials/sealing-key")
STARTED_SECONDS = 60.0
MADE = "sys/generate-root/update"
# Runs a vault of its tree, and has a broker of its tree make the sealing key.
LIFE_BEFORE = """
import asyncio, sys, time
from pathlib import Path
from deploy.local.openbao import running_openbao
from deploy.local.processes import Processes
from vault_broker.credentials import Credentials, Login  # an earlier commit has Login in another module
from vault_broker.vault import Vault

async def main(directory):
    async with running_openbao(Processes(directory / "logs"), directory) as vault:
        connection = Vault(vault.url, str(vault.ca))
        login = Login(connection, vault.role_id_file, vault.secret_id_file, time.monotonic)
        await login.check()
        print((await Credentials(login).sealing_key()).public.hex(), flush=True)
        if sys.argv[2:]:
            await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main(Path(sys.argv[1])))
"""
START = """
import asyncio, sys
from pathlib import Path
from deploy.local.openbao import running_openbao
from deploy.local.processes import Processes

async def main(directory):
    async with running_openbao(Processes(directory / "logs"), directory):
        pass

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.fixture(name="before", scope="module")
def _before(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return tree_of(BEFORE, tmp_path_factory.mktemp("before"))


@dataclass(frozen=True)
class Earlier:
    """The folder of the commit before's vault, a copy of its data, and its public sealing key."""

    directory: Path
    kept: Path
    public: bytes


@pytest_asyncio.fixture(name="earlier", scope="module")
async def _earlier(before: Tree, tmp_path_factory: pytest.TempPathFactory) -> Earlier:
    directory = tmp_path_factory.mktemp("earlier") / "butler"
    public = await life_before(before, directory)
    return Earlier(directory, Path(copytree(directory, directory.with_name("kept"))), public)


async def life_before(before: Tree, directory: Path) -> bytes:
    """Run a vault and a broker of the commit before, and return the public sealing key."""
    command = [str(before.python), "-c", LIFE_BEFORE, str(directory)]
    ran = await asyncio.to_thread(
        subprocess.run, command, cwd=before.path, env=before.environment(), capture_output=True, check=True
    )
    return bytes.fromhex(ran.stdout.decode().split()[-1])


@pytest.fixture(name="directory")
def _directory(earlier: Earlier) -> Path:
    """Return the directory in its earlier state; a vault does not start under another path."""
    rmtree(earlier.directory, ignore_errors=True)
    copytree(earlier.kept, earlier.directory)
    return earlier.directory


@contextmanager
def program(tree: Tree, *command: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program of a tree, and kill it at the end."""
    whole = [tree.python, "-c", *command]
    pipe = subprocess.PIPE
    with subprocess.Popen(whole, cwd=tree.path, env=tree.environment(), stdin=pipe, stdout=pipe) as running:
        try:
            yield running
        finally:
            running.kill()


@asynccontextmanager
async def as_broker(directory: Path) -> AsyncIterator[tuple[OpenBao, httpx.AsyncClient]]:
    """Start today's vault on a directory and log in as the broker."""
    async with running_openbao(Processes(directory / "logs"), directory) as vault:
        trust = ssl.create_default_context(cafile=vault.ca)
        async with httpx.AsyncClient(base_url=f"{vault.url}/v1/", verify=trust, timeout=15) as client:
            answer = await client.post("auth/approle/login", json=login_of(vault))
            client.headers["X-Vault-Token"] = answer.raise_for_status().json()["auth"]["client_token"]
            yield vault, client


async def sealing_keys(broker: httpx.AsyncClient) -> set[bytes]:
    """Return the public keys at the two paths."""
    answers = [(await broker.get(path)).raise_for_status().json() for path in PLACES]
    raw = [b64decode(answer["data"]["data"]["private_key"]) for answer in answers]
    return {SealingKey.from_bytes(each).public for each in raw}


async def is_up_to_date(vault: OpenBao, broker: httpx.AsyncClient, public: bytes) -> None:
    """Fail unless the vault has today's rights and the earlier key, and the files match it."""
    assert await sealing_keys(broker) == {public}
    wrapping = (await broker.get("transit/wrapping_key")).raise_for_status().json()["data"]["public_key"]
    assert vault.fingerprints == {
        "WRAPPING_KEY_FINGERPRINT": wrapping_key_fingerprint(wrapping),
        "SEALING_KEY_FINGERPRINT": sealing_key_fingerprint(public),
    }
    exportable = {"type": "hmac", "ciphertext": "eA==", "exportable": True}
    refused = await broker.post("transit/keys/one/import", json=exportable)
    assert refused.status_code == httpx.codes.FORBIDDEN
    assert (await broker.get(ATTEMPT)).status_code == httpx.codes.METHOD_NOT_ALLOWED


async def test_an_earlier_vault_gets_todays_rights_and_keeps_its_key(
    directory: Path, earlier: Earlier
) -> None:
    """The sealing key keeps its value and moves; the earlier login is no longer valid."""
    before = {name: (directory / "keys" / f"broker.{name}").read_text() for name in ("role_id", "secret_id")}
    async with as_broker(directory) as (vault, broker):
        await is_up_to_date(vault, broker, earlier.public)
        assert login_of(vault)["role_id"] == before["role_id"]
        refused = await broker.post("auth/approle/login", json=before)
        assert refused.status_code == httpx.codes.BAD_REQUEST

    audit = (directory / "openbao" / "audit.log").read_text().splitlines()
    assert "auth/token/revoke-self" in next(line for line in reversed(audit) if '"policies":["root"]' in line)


async def test_nothing_is_provisioned_that_stands(directory: Path, earlier: Earlier) -> None:
    """A second start makes no root token and writes no file."""
    async with as_broker(directory):
        pass
    home = directory / "openbao"
    asked = (home / "audit.log").read_text().count(MADE)
    written = {path: path.stat().st_mtime_ns for path in (directory / "keys").iterdir()}

    async with as_broker(directory) as (vault, broker):
        await is_up_to_date(vault, broker, earlier.public)

    assert (home / "audit.log").read_text().count(MADE) == asked
    assert {path: path.stat().st_mtime_ns for path in (directory / "keys").iterdir()} == written


@pytest.mark.parametrize("lost", ["openbao/fingerprints.env", "keys/broker.secret_id", "keys/broker.role_id"])
async def test_a_lost_file_is_written_again(directory: Path, earlier: Earlier, lost: str) -> None:
    """The next start writes the missing file again, with the existing keys."""
    async with as_broker(directory):
        pass
    (directory / lost).unlink()

    async with as_broker(directory) as (vault, broker):
        await is_up_to_date(vault, broker, earlier.public)


@pytest.mark.parametrize(
    "step",
    [
        MADE,
        "sys/auth/approle/tune",
        "sys/policies/acl/vault-broker",
        "secret/data/sealing-key",
        "auth/approle/role/vault-broker/secret-id",
        "auth/approle/role/vault-broker/secret-id-accessor/destroy",
        "auth/token/revoke-self",
    ],
)
async def test_a_start_that_is_killed_is_finished_by_the_next(
    directory: Path, earlier: Earlier, step: str
) -> None:
    """Killed at a step of provisioning, the vault is completed by the next start."""
    audit = directory / "openbao" / "audit.log"
    before = audit.stat().st_size

    async def begun() -> bool:
        with audit.open() as lines:
            lines.seek(before)
            return f'"path":"{step}"' in lines.read()

    with program(TODAY, START, directory) as starter:
        await until(begun, STARTED_SECONDS)
        parts = psutil.Process(starter.pid).children(recursive=True)
        starter.send_signal(signal.SIGKILL)
        assert psutil.wait_procs(parts, STARTED_SECONDS)[1] == []

    async with as_broker(directory) as (vault, broker):
        await is_up_to_date(vault, broker, earlier.public)


async def test_without_its_recovery_key_an_earlier_vault_says_so(directory: Path) -> None:
    """The start fails with the file's name, and does not change the vault."""
    key = directory / "openbao" / "recovery.key"
    kept = key.rename(key.with_name("elsewhere"))
    with pytest.raises(PartFailed, match=r"recovery\.key"):
        async with as_broker(directory):
            pass

    kept.rename(key)
    async with as_broker(directory) as (vault, _):
        assert vault.fingerprints


async def test_an_earlier_broker_reads_the_same_key_after_the_update(
    before: Tree, directory: Path, earlier: Earlier
) -> None:
    """A broker of the commit before finds the key at the earlier path, and makes no other."""
    async with as_broker(directory):
        pass
    assert await life_before(before, directory) == earlier.public
    async with as_broker(directory) as (_, broker):
        assert await sealing_keys(broker) == {earlier.public}


async def test_todays_broker_reads_the_same_key_before_the_update(
    before: Tree, directory: Path, earlier: Earlier
) -> None:
    """On a vault without the update, the broker reads the key at the earlier path."""
    with program(before, LIFE_BEFORE, directory, "and wait") as running:
        assert running.stdout is not None
        await asyncio.to_thread(running.stdout.readline)
        configuration = json.loads((directory / "openbao" / "openbao.json").read_text())
        address = configuration["listener"][0]["tcp"]["address"]
        connection = Vault(f"https://{address}", str(directory / "openbao" / "tls" / "ca.pem"))
        role_id, secret_id = (directory / "keys" / f"broker.{name}" for name in ("role_id", "secret_id"))
        login = Login(connection, approle(role_id, secret_id), time.monotonic)
        await login.check()
        key = (await Credentials(login).sealing_keys()).newest
        connection.close()

    assert key.public == earlier.public

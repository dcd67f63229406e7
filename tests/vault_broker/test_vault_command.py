"""`python -m deploy.vault` provisions an operator's own vault, repeatedly, and changes nothing else in it."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from deploy.local.processes import Processes
from deploy.vault.__main__ import arguments
from tests.vault_broker.vaults import OwnVault

LOGIN = ("broker.role_id", "broker.secret_id")
SECONDS = 60


@pytest_asyncio.fixture(name="vault", scope="module")
async def _vault(processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OwnVault]:
    """Run a vault without our configuration."""
    vault = OwnVault(processes, tmp_path_factory.mktemp("foreign"), "foreign-vault")
    await vault.start(provisioned=False)
    yield vault
    await vault.client.aclose()
    await vault.stop()


def ran(vault: OwnVault, directory: Path, *options: str, **changed: str) -> subprocess.CompletedProcess[str]:
    """Run the command with the vault's address, authority and root token in its environment."""
    told = {
        "VAULT_ADDR": vault.url,
        "VAULT_CACERT": str(vault.ca),
        "VAULT_TOKEN": vault.client.headers["X-Vault-Token"],
        **changed,
    }
    command = [sys.executable, "-m", "deploy.vault", "--directory", str(directory), *options]
    return subprocess.run(
        command, env={**os.environ, **told}, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def done(vault: OwnVault, directory: Path, *options: str) -> dict[str, str]:
    """Run the command and return the files that it wrote."""
    finished = ran(vault, directory, *options)
    assert finished.returncode == 0, finished.stderr
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}
    return {path.name: path.read_text() for path in directory.iterdir()}


async def logged_in(vault: OwnVault, files: dict[str, str]) -> str:
    """Log in as the broker and return the token; raises httpx.HTTPStatusError."""
    login = {"role_id": files[LOGIN[0]], "secret_id": files[LOGIN[1]]}
    return str((await vault.root("POST", "auth/approle/login", login))["auth"]["client_token"])


async def opens(vault: OwnVault, token: str) -> bool:
    """Return whether a token is the broker's and alive."""
    answer = await vault.client.get("transit/wrapping_key", headers={"X-Vault-Token": token})
    return answer.status_code == httpx.codes.OK


async def test_a_vault_of_others_is_provisioned_and_again(vault: OwnVault, tmp_path: Path) -> None:
    """The second run changes no file and ends no token, neither of a running broker nor of others."""
    created = await vault.root("POST", "auth/token/create", {"no_parent": True})
    first = done(vault, tmp_path)
    token = await logged_in(vault, first)

    assert await opens(vault, token)
    assert done(vault, tmp_path) == first
    assert await opens(vault, token)
    assert await opens(vault, created["auth"]["client_token"])


async def test_a_renewed_login_ends_the_one_of_before(vault: OwnVault, tmp_path: Path) -> None:
    """With --renew-login the brokers' tokens and their secret id end, and no others."""
    other = (await vault.root("POST", "auth/token/create", {"no_parent": True}))["auth"]["client_token"]
    first = done(vault, tmp_path)
    token = await logged_in(vault, first)

    second = done(vault, tmp_path, "--renew-login")

    assert not await opens(vault, token)
    assert await opens(vault, other)
    assert await opens(vault, await logged_in(vault, second))
    with pytest.raises(httpx.HTTPStatusError):
        await logged_in(vault, first)
    assert first["fingerprints.env"] == second["fingerprints.env"]


async def test_a_login_that_is_lost_or_bad_is_made_anew(vault: OwnVault, tmp_path: Path) -> None:
    """A missing file, or one with another secret id, is replaced without an option."""
    done(vault, tmp_path)
    (tmp_path / LOGIN[1]).unlink()
    assert await opens(vault, await logged_in(vault, done(vault, tmp_path)))

    (tmp_path / LOGIN[1]).write_text("11111111-1111-1111-1111-111111111111")
    assert await opens(vault, await logged_in(vault, done(vault, tmp_path)))


async def test_a_login_works_in_its_networks_only(vault: OwnVault, tmp_path: Path) -> None:
    """With --broker-network a copied login is refused elsewhere; other networks mean another login."""
    here = done(vault, tmp_path, "--broker-network", "127.0.0.0/8")
    assert await opens(vault, await logged_in(vault, here))
    assert done(vault, tmp_path, "--broker-network", "127.0.0.0/8") == here

    elsewhere = done(vault, tmp_path, "--broker-network", "192.0.2.0/24")
    with pytest.raises(httpx.HTTPStatusError):
        await logged_in(vault, elsewhere)


async def test_alone_ends_every_other_token(vault: OwnVault, tmp_path: Path) -> None:
    """With --alone a leftover root token ends, too."""
    left = (await vault.root("POST", "auth/token/create", {"no_parent": True}))["auth"]["client_token"]

    done(vault, tmp_path, "--alone", "--renew-login")

    assert not await opens(vault, left)


async def test_an_engine_of_others_at_our_place_is_told(vault: OwnVault, tmp_path: Path) -> None:
    """The command stops if `secret/` is another kind of engine."""
    done(vault, tmp_path)
    await vault.root("DELETE", "sys/mounts/secret")
    await vault.root("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "1"}})

    refused = ran(vault, tmp_path)

    assert refused.returncode == 1
    assert refused.stderr.startswith("the vault is not provisioned: sys/mounts/secret is another engine")
    await vault.root("DELETE", "sys/mounts/secret")


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"VAULT_ADDR": "http://127.0.0.1:8200"}, "is not https://HOST:PORT"),
        ({"VAULT_TOKEN": ""}, "the token is missing"),
        ({"VAULT_TOKEN": "wrong"}, "403"),
        ({"VAULT_TOKEN": "canary\ncanary"}, "the token is not valid"),
        ({"VAULT_TOKEN": "canary\u00fc"}, "the token is not valid"),
        ({"VAULT_CACERT": ""}, "CERTIFICATE_VERIFY_FAILED"),
    ],
)
def test_a_failure_is_told_in_one_line(
    vault: OwnVault, tmp_path: Path, changed: dict[str, str], complaint: str
) -> None:
    """The line says what is wrong and repeats no token."""
    failed = ran(vault, tmp_path, **changed)

    assert failed.returncode == 1
    assert complaint in failed.stderr
    assert failed.stderr.count("\n") == 1
    assert vault.client.headers["X-Vault-Token"] not in failed.stderr
    assert "canary" not in failed.stderr


def test_a_token_can_come_from_a_file(vault: OwnVault, tmp_path: Path) -> None:
    """It takes precedence over that of the environment."""
    (tmp_path / "token").write_text(vault.client.headers["X-Vault-Token"] + "\n")

    finished = ran(vault, tmp_path / "files", "--token-file", str(tmp_path / "token"), VAULT_TOKEN="wrong")

    assert finished.returncode == 0, finished.stderr


def test_a_line_end_behind_a_token_is_no_part_of_it(vault: OwnVault, tmp_path: Path) -> None:
    """The environment of a container often has one there."""
    token = vault.client.headers["X-Vault-Token"]

    assert ran(vault, tmp_path, VAULT_TOKEN=f"{token}\n").returncode == 0


def test_a_command_does_one_step_of_a_delivery(capsys: pytest.CaptureFixture[str]) -> None:
    """A second one beside it would not be done, so it is refused."""
    with pytest.raises(SystemExit):
        arguments(["--directory", "any", "--open-delivery", "any", "--end-earlier-logins"])

    assert "not allowed with" in capsys.readouterr().err

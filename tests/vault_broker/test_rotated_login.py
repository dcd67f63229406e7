"""A new secret id of the broker is read once, by the broker's side, and ends the earlier ones."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copy

import httpx
import pytest
import pytest_asyncio

from deploy.local.processes import Processes
from deploy.private_files import private_folder, write_private
from deploy.rotation.login import rotate_login
from deploy.rotation.seal import rotate_seal
from deploy.rotation.surroundings import RotationFailed
from deploy.vault.delivery import SECRET_IDS
from deploy.vault.engines import SEAL
from deploy.vault.seal import Keys as SealKeys
from deploy.vault.seal import Seal
from tests.vault_broker.conftest import logged_in
from tests.vault_broker.rotating import Place
from tests.vault_broker.vaults import OwnVault
from vault_broker.auth_methods import approle
from vault_broker.credentials import Credentials
from vault_broker.vault import Vault
from vault_broker.vault_login import Login


@pytest_asyncio.fixture(name="own", scope="module")
async def _own(processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OwnVault]:
    own = OwnVault(processes, tmp_path_factory.mktemp("login-vault"), "login-vault")
    await own.start()
    yield own
    await own.client.aclose()
    await own.stop()


async def command(own: OwnVault, directory: Path, *options: str | Path) -> str:
    """Run `python -m deploy.vault` and return what it says."""
    line = [sys.executable, "-m", "deploy.vault", "--directory", directory, "--address", own.url, *options]
    ran = await asyncio.to_thread(
        subprocess.run, [*line, "--ca-file", own.ca], capture_output=True, text=True, check=False, env={}
    )
    return ran.stdout + ran.stderr


@pytest.fixture(name="root")
def _root(own: OwnVault, tmp_path: Path) -> Path:
    """Return a file with the root token."""
    return write_private(tmp_path / "root", own.client.headers["X-Vault-Token"].encode())


async def test_a_rotation_ends_earlier_logins_and_tells_the_time_of_the_new(
    own: OwnVault, tmp_path: Path
) -> None:
    """The earlier secret id and its token are refused, and a broker knows when its own was made."""
    earlier = {"role_id": own.role_id_file.read_text(), "secret_id": own.secret_id_file.read_text()}
    token = (await own.root("POST", "auth/approle/login", earlier))["auth"]["client_token"]

    await rotate_login(Place(own, tmp_path))

    answers = [
        await own.client.post("auth/approle/login", json=earlier),
        await own.client.get("secret/data/engines", headers={"X-Vault-Token": token}),
    ]
    assert [each.status_code for each in answers] == [httpx.codes.BAD_REQUEST, httpx.codes.FORBIDDEN]
    vault = Vault(own.url, str(own.ca))
    login = Login(vault, approle(tmp_path / "broker.role_id", tmp_path / "broker.secret_id"), time.monotonic)
    await login.check()
    vault.close()
    assert login.made is not None
    assert datetime.now(UTC) - login.made < timedelta(minutes=1)
    own.role_id_file, own.secret_id_file = tmp_path / "broker.role_id", tmp_path / "broker.secret_id"


async def test_a_delivery_opens_once_on_another_machine(own: OwnVault, root: Path, tmp_path: Path) -> None:
    """The second reader of a delivery learns that it was read; the newest login survives the others."""
    delivery = tmp_path / "delivery"
    await command(own, tmp_path, "--token-file", root, "--write-delivery", delivery)
    stolen = Path(copy(delivery, tmp_path / "stolen"))

    assert "login is in" in await command(own, tmp_path / "broker", "--open-delivery", delivery)
    said = await command(own, tmp_path / "thief", "--open-delivery", stolen)

    assert "someone has read it" in said
    assert not (tmp_path / "thief" / "broker.secret_id").exists()
    await command(own, tmp_path, "--token-file", root, "--end-earlier-logins")
    assert len((await own.root("LIST", SECRET_IDS))["data"]["keys"]) == 1
    own.secret_id_file = tmp_path / "broker" / "broker.secret_id"
    async with logged_in(own) as login:
        assert await login.ready()


async def test_a_wrapping_of_another_path_is_refused(own: OwnVault, tmp_path: Path) -> None:
    """Somebody who opened the delivery cannot wrap a secret id of their own."""
    answer = await own.client.post(
        "sys/wrapping/wrap",
        json={"secret_id": "mine", "secret_id_accessor": "mine"},
        headers={"X-Vault-Wrap-TTL": "60"},
    )
    token = answer.json()["wrap_info"]["token"]
    delivery = write_private(tmp_path / "delivery", f'{{"role_id":"r","token":"{token}"}}'.encode())

    said = await command(own, tmp_path, "--open-delivery", delivery)

    assert "someone has replaced it" in said
    assert token not in said
    assert not (tmp_path / "broker.secret_id").exists()


async def test_the_old_key_of_the_seal_opens_the_vault_no_more(own: OwnVault, tmp_path: Path) -> None:
    """The new key alone unseals it, also after a rotation that was cut short; its time is known."""
    old = tmp_path / "old"
    old.mkdir()
    copy(own.seal_keys.folder / "seal.key", old)
    place = Place(own, tmp_path)
    own.seal_keys.begin("cut-short")
    await rotate_seal(place)
    assert own.seal_keys.keys().current.id == "cut-short"
    await rotate_seal(place)
    assert own.seal_keys.keys().current.id not in ("own", "cut-short")
    assert [path.name for path in own.seal_keys.folder.glob("seal*.key")] == [
        own.seal_keys.keys().current.file
    ]
    async with logged_in(own) as login:
        assert SEAL in (await Credentials(login).engines()).created

    rotated = own.seal_keys
    await own.stop()
    own.seal_keys = Seal(old, "own")
    await own.start(sealed=True)
    await own.stop()
    own.seal_keys = rotated
    await own.start()


@dataclass
class Forwarded(Place):
    """A vault behind a forward that ends when the vault restarts; its seal is none of a server's."""

    forwarded: bool = False
    restarts: int = 0

    @property
    def seal(self) -> Seal:
        """Return keys that the vault does not use."""
        return Seal(self.keys, "first")

    async def restart_vault(self) -> None:
        """End the forward."""
        self.forwarded = False
        self.restarts += 1

    @asynccontextmanager
    async def vault(self) -> AsyncIterator[httpx.AsyncClient]:
        """Yield the vault's client; raises RotationFailed without a forward."""
        if not self.forwarded:
            raise RotationFailed("no forward")
        yield self.own.client


async def test_a_seal_whose_forward_has_ended_gets_one_key(own: OwnVault, tmp_path: Path) -> None:
    """Before the first change the command fails without one; after the last restart it goes on from there."""
    place = Forwarded(own, private_folder(tmp_path / "keys"))
    with pytest.raises(RotationFailed, match="no forward"):
        await rotate_seal(place)
    assert (place.seal.keys().current.id, place.restarts) == ("first", 0)

    place.forwarded = True
    with pytest.raises(RotationFailed, match="no forward"):
        await rotate_seal(place)
    key = place.seal.keys().current
    place.forwarded = True
    await rotate_seal(place)

    assert place.seal.keys() == SealKeys(key)
    assert (place.seal.files(), place.restarts) == ([*place.keys.glob("seal*.key")], 2)


async def test_a_broker_of_a_cluster_has_no_secret_id(own: OwnVault, tmp_path: Path) -> None:
    """The rotation says how the broker logs in there."""
    await own.root("DELETE", "auth/approle/role/vault-broker")
    with pytest.raises(RotationFailed, match="token of its pod"):
        await rotate_login(Place(own, tmp_path))

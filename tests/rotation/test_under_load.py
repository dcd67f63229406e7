"""A key is replaced while people use the system, and they notice nothing."""

import re
import shutil
import time
from pathlib import Path

import httpx
import pytest

from deploy.database.passwords import following
from deploy.database.roles import change_password
from deploy.keys import GATEWAY, OWNER, SUPERUSER
from deploy.private_files import kept, password
from deploy.rotation.catalogue import ROTATIONS
from deploy.rotation.surroundings import RotationFailed
from tests.chaos.load import each_ended_once
from tests.joining import joined
from tests.rotation.conftest import Running, refresh
from tests.rotation.refusing import TRIES, opened
from tests.system.forging import claims_of
from tests.system.person import Person
from tests.waiting import IN_THE_CLEAR, until

RECENT_SECONDS = 120.0
pytestmark = pytest.mark.alone


def session(person: Person) -> str:
    """Return the session of a person's access token."""
    return str(claims_of(person.tokens["access_token"])["extras"]["family"])


async def jwt_is_new(running: Running, token: str) -> None:
    """Check that the earlier key's access token is refused, and that one public key is shown."""
    async with httpx.AsyncClient(base_url=running.stack.api, trust_env=False) as client:
        headers = {"Authorization": f"Bearer {token}"}
        assert (await client.get("/api/v1/me", headers=headers)).status_code == 401
        assert len((await client.get("/.well-known/jwks.json")).json()["keys"]) == 1


@pytest.mark.parametrize("key", ROTATIONS)
async def test_no_sync_fails_and_no_session_ends(running: Running, tmp_path: Path, key: str) -> None:
    """No request fails, each accepted sync is completed and recorded once, and all stay signed in.

    A copy of the earlier keys opens nothing.
    """
    copy = shutil.copytree(running.stack.parts.directory / "keys", tmp_path / "copy")
    before = await opened(key, running.stack, copy)
    assert before or key not in TRIES
    sessions = [session(person) for person in running.people]
    token = running.people[0].tokens["access_token"]
    load = running.load()
    async with load.running():
        await ROTATIONS[key](running.place)

    assert load.failed == {}
    async with await joined(running.stack.parts.nats, "admin") as bus:
        await each_ended_once(running.rows, bus, [*load.accepted])
    for person in running.people:
        await refresh(person)
        await person.get("/me")
    assert [session(person) for person in running.people] == sessions
    assert await opened(key, running.stack, copy) == set()
    if key == "jwt":
        await jwt_is_new(running, token)


async def test_the_right_to_change_the_vault_ends(running: Running) -> None:
    """A rotation is root in the vault for one block; then its token is revoked, and no key gives another."""
    provisioned = running.stack.parts.directory / "openbao" / "provisioned"
    done = provisioned.read_bytes()
    async with running.place.vault() as client:
        token = client.headers["X-Vault-Token"]
        assert provisioned.read_bytes() != done  # so a start after a kill provisions, which ends all tokens
        assert (await client.get("auth/token/lookup-self")).json()["data"]["policies"] == ["root"]

    assert provisioned.read_bytes() == done
    async with running.stack.parts.vault.client() as client:
        told = await client.get("auth/token/lookup-self", headers={"X-Vault-Token": token})
        assert told.status_code == httpx.codes.FORBIDDEN
        assert not (await client.put("sys/generate-root/attempt", json={})).is_success


async def test_a_gateway_that_can_not_start_leaves_the_one_before(running: Running) -> None:
    """Users do not notice a damaged file of keys; the command says what failed."""
    path = running.place.keys / "jwt.pem"
    kept_content, (person, *_) = path.read_bytes(), running.people
    path.write_bytes(b"damaged")
    try:
        with pytest.raises(RotationFailed, match="the gateway was not restarted: gateway ended before"):
            await running.place.roll("gateway")
        await person.get("/me")
    finally:
        path.write_bytes(kept_content)
    await running.place.roll("gateway")
    await person.get("/me")


async def test_passwords_that_changed_half_are_replaced(running: Running) -> None:
    """A role whose password is newer than its file is repaired by the same command, and ages are shown."""
    keys = running.place.keys
    for role in (GATEWAY, OWNER, SUPERUSER):
        secret = kept(following(keys, role), password).read_bytes()
        async with running.place.database(SUPERUSER) as connection:
            await change_password(connection, role, secret)
    await ROTATIONS["passwords"](running.place)

    assert await opened("passwords", running.stack, keys) == {GATEWAY, OWNER, SUPERUSER}

    async def shown() -> bool:
        async with httpx.AsyncClient(verify=IN_THE_CLEAR, trust_env=False) as client:
            text = (await client.get(f"{running.stack.operations('gateway')}/metrics")).text
        ages = re.findall(r'butler_key_created_seconds{key="password of (\w+)"} (\S+)', text)
        return [role for role, made in ages if time.time() - float(made) < RECENT_SECONDS] == sorted(
            (GATEWAY, OWNER, SUPERUSER)
        )

    await until(shown)

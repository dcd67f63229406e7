"""An interrupted rotation leaves keys that work, and the same command ends it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from deploy.bus_keys import OWN_USERS, public_key, public_keys, seed_file
from deploy.database.passwords import following, in_use
from deploy.database.roles import Connection
from deploy.keys import GATEWAY, OWNER, SUPERUSER
from deploy.local.certificates import make_authority
from deploy.local.postgres import Postgres
from deploy.private_files import write_private
from deploy.rotation.bus import rotate_nkeys
from deploy.rotation.catalogue import Rotation
from deploy.rotation.certificates import rotate_certificates
from deploy.rotation.passwords import rotate_passwords
from deploy.rotation.surroundings import RotationFailed, Surroundings
from deploy.vault.seal import Seal

STEPS = range(1, 10)
LAST_RELOAD = 3  # of nkeys: until then a service may have the earlier one


class Stopping(Surroundings):
    """A place that does nothing, and fails at its step of this number."""

    def __init__(self, keys: Path, step: int) -> None:
        self._keys, self._left = keys, step

    @property
    def keys(self) -> Path:
        """Return the folder of keys."""
        return self._keys

    @property
    def fingerprints_file(self) -> Path:
        """Return a file that no rotation of these reads."""
        return self._keys / "fingerprints.env"

    @property
    def seal(self) -> Seal:
        """Return the keys of a seal that no rotation of these turns."""
        return Seal(self._keys, "first")

    def tell(self, text: str) -> None:
        """Say nothing."""

    async def wait(self, seconds: float, why: str) -> None:
        """Wait for nothing."""

    def vault(self) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        """Refuse what no rotation of these uses."""
        raise RotationFailed("there is no vault")

    def database(self, role: str) -> AbstractAsyncContextManager[Connection]:
        """Refuse what no rotation of these uses."""
        raise RotationFailed(f"there is no database for {role}")

    async def roll(self, *services: str) -> None:  # noqa: ARG002 - the Protocol's signature
        """Count a step."""
        await self.reload_bus()

    async def restart_vault(self) -> None:
        """Count a step."""
        await self.reload_bus()

    async def reload_bus(self) -> None:
        """Count a step; raises RotationFailed at the last one."""
        self._left -= 1
        if self._left == 0:
            raise RotationFailed("it was interrupted")


async def interrupted(rotation: Rotation, keys: Path, step: int) -> bool:
    """Rotate until a step, and return whether it came to that."""
    try:
        await rotation(Stopping(keys, step))
    except RotationFailed:
        return True
    return False


@pytest.mark.parametrize("step", STEPS)
async def test_nkeys_are_admitted_at_each_step(tmp_path: Path, step: int) -> None:
    """NATS admits the seed in use and, until all services have it, the one before; at the end no other."""
    first = public_keys(tmp_path)
    stopped = await interrupted(rotate_nkeys, tmp_path, step)
    between = public_keys(tmp_path)
    assert all(public_key(seed_file(tmp_path, name)) in between[name] for name in OWN_USERS)
    if step < LAST_RELOAD:
        assert all(set(first[name]) <= set(between[name]) for name in OWN_USERS)
    if stopped:
        assert not await interrupted(rotate_nkeys, tmp_path, 0)

    last = public_keys(tmp_path)
    assert all(len(last[name]) == 1 and last[name] != first[name] for name in OWN_USERS)
    assert len([*tmp_path.iterdir()]) == len(OWN_USERS)


@pytest.mark.parametrize("step", STEPS)
async def test_an_authority_is_trusted_at_each_step(tmp_path: Path, step: int) -> None:
    """Whichever issues is among those that are trusted; at the end only the new one is."""
    folders = [tmp_path / "keys" / "nats", tmp_path / "openbao" / "tls"]
    first = [trust(folder) for folder in folders]
    stopped = await interrupted(rotate_certificates, tmp_path / "keys", step)
    trusted = [(folder / "ca.pem").read_bytes() for folder in folders]
    assert list(map(trust, folders)) == trusted  # the pair is usable: no other authority was made
    if stopped:
        assert not await interrupted(rotate_certificates, tmp_path / "keys", 0)

    for folder, before in zip(folders, first, strict=True):
        assert trust(folder).count(b"BEGIN") == 1
        assert trust(folder) != before


def trust(folder: Path) -> bytes:
    """Return the certificates of the authorities that are trusted, after the check of a start."""
    return make_authority(folder, "any").certificate_path.read_bytes()


class OthersSuperuser(Stopping):
    """A place whose superuser is refused, and if `gone` all others after it; its database stays as it is."""

    def __init__(self, keys: Path, postgres: Postgres, *, gone: bool = False) -> None:
        super().__init__(keys, 0)
        self._postgres, self._gone, self._refused = postgres, gone, False
        self.told: list[str] = []

    def tell(self, text: str) -> None:
        """Keep a line of progress."""
        self.told.append(text)

    @asynccontextmanager
    async def database(self, role: str) -> AsyncIterator[Connection]:
        """Connect, and take back what is done; raises RotationFailed."""
        self._refused |= role == SUPERUSER
        if role == SUPERUSER or (self._refused and self._gone):
            raise RotationFailed(f"{role} is refused")
        async with (
            await self._postgres.connect(role) as connection,
            connection.transaction(force_rollback=True),
        ):
            yield connection


@pytest.fixture(name="passwords")
def _passwords(tmp_path: Path) -> Path:
    for role in (GATEWAY, OWNER, SUPERUSER):
        write_private(in_use(tmp_path, role), b"before")
    return tmp_path


async def test_a_superuser_of_another_keeps_its_password(passwords: Path, clean_database: Postgres) -> None:
    """The rotation of the others succeeds, and leaves no next password."""
    place = OthersSuperuser(passwords, clean_database)
    await rotate_passwords(place)

    assert "belongs to another" in place.told[-1]
    assert {path.name for path in passwords.iterdir()} == {
        in_use(passwords, role).name for role in (GATEWAY, OWNER, SUPERUSER)
    }
    kept = [role for role in (GATEWAY, OWNER, SUPERUSER) if in_use(passwords, role).read_bytes() == b"before"]
    assert kept == [SUPERUSER]


async def test_a_next_password_that_may_be_in_use_stays(passwords: Path, clean_database: Postgres) -> None:
    """An interrupted rotation may have given it to the superuser already."""
    write_private(following(passwords, SUPERUSER), b"next")
    with pytest.raises(RotationFailed, match="an interrupted rotation has left"):
        await rotate_passwords(OthersSuperuser(passwords, clean_database))

    assert following(passwords, SUPERUSER).read_bytes() == b"next"


async def test_a_database_that_is_gone_is_not_another_superuser(
    passwords: Path, clean_database: Postgres
) -> None:
    """The rotation fails, so that its repetition replaces the superuser's password, too."""
    with pytest.raises(RotationFailed, match=f"{OWNER} is refused"):
        await rotate_passwords(OthersSuperuser(passwords, clean_database, gone=True))

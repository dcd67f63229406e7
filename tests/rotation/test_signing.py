"""The steps of the signing keys, with gateways and a broker that only remember their files."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from contracts.wire.key_files import pieces
from deploy.database.roles import Connection
from deploy.local.postgres import Postgres
from deploy.rotation.catalogue import ROTATIONS
from deploy.rotation.surroundings import RotationFailed
from deploy.signing_keys import new_key
from deploy.vault.seal import Seal

PEM = b"-----BEGIN "


def keys_of(file: bytes) -> list[bytes]:
    """Return the keys of a file, without their times."""
    return [PEM + piece.partition(PEM)[2] for piece in pieces(file)]


@dataclass
class Paper:
    """A place where each process has the file of its last start, and one roll or wait breaks."""

    keys: Path
    name: str
    postgres: Postgres
    breaks_at: int
    running: dict[str, list[bytes]] = field(default_factory=dict)
    steps: int = 0
    fingerprints_file: Path = Path()

    @property
    def seal(self) -> Seal:
        """Return the keys of a seal that no test turns."""
        return Seal(self.keys, "paper")

    def tell(self, text: str) -> None:
        """Say nothing."""

    async def wait(self, seconds: float, why: str) -> None:  # noqa: ARG002 - it does not wait
        """Break, or do not wait."""
        self._step()

    async def roll(self, *services: str) -> None:
        """Break, or start services again; processes that run beside each other must accept each other."""
        for service in services:
            self._step()
            after, before = keys_of((self.keys / self.name).read_bytes()), self.running[service]
            assert service == "vault-broker" or (before[0] in after and after[0] in before)
            self.running[service] = after
            assert self.running["gateway"][0] in self.running["vault-broker"] or self.name == "jwt.pem"

    def _step(self) -> None:
        self.steps += 1
        if self.steps == self.breaks_at:
            raise RotationFailed("interrupted")

    @asynccontextmanager
    async def database(self, role: str) -> AsyncIterator[Connection]:
        """Connect to the database."""
        async with await self.postgres.connect(role) as connection:
            yield connection

    async def reload_bus(self) -> None:
        """Fail: no signing key needs it."""
        raise AssertionError

    async def restart_vault(self) -> None:
        """Fail: no signing key needs it."""
        raise AssertionError

    def vault(self) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        """Fail: no signing key needs it."""
        raise AssertionError


@pytest.fixture(name="paper")
def _paper(tmp_path: Path, clean_database: Postgres) -> Callable[[str, int], Paper]:
    """Return a function that makes a place with one key, without its time, that breaks at a step."""

    def made(key: str, breaks_at: int) -> Paper:
        name = f"{key}.pem"
        (tmp_path / name).write_bytes(PEM + new_key().partition(PEM)[2])
        running = {
            service: keys_of((tmp_path / name).read_bytes()) for service in ("gateway", "vault-broker")
        }
        return Paper(tmp_path, name, clean_database, breaks_at, running)

    return made


@pytest.mark.parametrize(("key", "steps"), [("jwt", 5), ("grant", 5)])
async def test_an_interrupted_rotation_goes_on(
    paper: Callable[[str, int], Paper], key: str, steps: int
) -> None:
    """After a break at any roll or wait but the last, the same command leaves one key, which is new."""
    for breaks_at in range(1, steps):
        place = paper(key, breaks_at)
        (old,) = place.running["gateway"]
        with pytest.raises(RotationFailed, match="interrupted"):
            await ROTATIONS[key](place)
        learned = {each for each in keys_of((place.keys / place.name).read_bytes()) if each != old}
        await ROTATIONS[key](place)

        (new,) = place.running["gateway"]
        assert {new} == learned
        assert place.running["vault-broker"] == [old if key == "jwt" else new]


async def test_a_clock_that_went_back_starts_no_rotation(paper: Callable[[str, int], Paper]) -> None:
    """A new key that would seem to be the older one is not written."""
    place = paper("jwt", 0)
    file = place.keys / place.name
    kept = b"Created: 2999-01-01T00:00:00Z\n" + file.read_bytes()
    file.write_bytes(kept)
    with pytest.raises(RotationFailed, match="clock"):
        await ROTATIONS["jwt"](place)

    assert file.read_bytes() == kept


@pytest.mark.parametrize("key", ["jwt", "grant"])
async def test_two_keys_of_which_none_is_newer_are_left_alone(
    paper: Callable[[str, int], Paper], key: str
) -> None:
    """A rotation that was begun by hand with keys without times ends by hand: the newer one could be lost."""
    place = paper(key, 0)
    file = place.keys / place.name
    two = b"".join(PEM + new_key().partition(PEM)[2] for _ in range(2))
    file.write_bytes(two)
    with pytest.raises(RotationFailed, match="do not say which is newer"):
        await ROTATIONS[key](place)

    assert file.read_bytes() == two
    assert not place.steps

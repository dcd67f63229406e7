"""The surroundings of a rotation whose only server is a test's own vault."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg

from deploy.local.openbao import TERMS
from deploy.vault.provision import Handover, provision
from deploy.vault.seal import Seal
from tests.vault_broker.vaults import OwnVault

OnRoll = Callable[[tuple[str, ...]], Awaitable[None]]


class CutShort(Exception):
    """The process that rotates has ended."""


async def _nothing(_: tuple[str, ...]) -> None:
    """Let new processes start."""


@dataclass
class Place:
    """A vault, and services whose rolls the test sees; `wait` returns at once."""

    own: OwnVault
    keys: Path
    on_roll: OnRoll = _nothing
    told: list[str] = field(default_factory=list)
    rolled: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def fingerprints_file(self) -> Path:
        """Return the file that provisioning has written."""
        return self.own.fingerprints_file

    @property
    def seal(self) -> Seal:
        """Return the keys of the vault's seal."""
        return self.own.seal_keys

    def tell(self, text: str) -> None:
        """Keep a line of progress."""
        self.told.append(text)

    async def wait(self, seconds: float, why: str) -> None:
        """Go on, because no request is open."""

    async def roll(self, *services: str) -> None:
        """Note the roll, and do what the test does at this step."""
        self.rolled.append(services)
        await self.on_roll(services)

    async def reload_bus(self) -> None:
        """No bus has keys of the vault."""
        raise NotImplementedError

    async def restart_vault(self) -> None:
        """Start the vault again with the files of its seal."""
        await self.own.stop()
        await self.own.start()

    @asynccontextmanager
    async def vault(self) -> AsyncIterator[httpx.AsyncClient]:
        """Yield the vault's client, which has root's rights."""
        yield self.own.client

    def database(self, role: str) -> AbstractAsyncContextManager[psycopg.AsyncConnection[tuple[object, ...]]]:
        """No key of the vault is in a database."""
        raise NotImplementedError


async def provisioned(own: OwnVault) -> None:
    """Provision the vault again, as each start of a system may; a login that works stays."""
    files = Handover(own.role_id_file, own.secret_id_file, own.fingerprints_file)
    await provision(own.client, files, KEPT)


KEPT = type(TERMS)(TERMS.brokers)

"""The running stack as a place whose keys are rotated, inside the process that owns its programs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
from nats.errors import Error as NatsFailed

from deploy.database.roles import Connection
from deploy.local.openbao import restart_openbao, seal_of, vault_as_root
from deploy.local.processes import PartFailed
from deploy.local.services import programs, until_ready
from deploy.local.stack import Stack, Tell
from deploy.local.subscribing import SubscriberFailed, reload_server
from deploy.rotation.surroundings import RotationFailed
from deploy.vault.seal import Seal


@dataclass(frozen=True, slots=True)
class Local:
    """The surroundings of a rotation in the local stack; `pause` lets so many seconds pass."""

    stack: Stack
    tell: Tell
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    @property
    def keys(self) -> Path:
        """Return the folder of the stack's keys."""
        return self.stack.parts.directory / "keys"

    @property
    def fingerprints_file(self) -> Path:
        """Return the file of the fingerprints that the gateway pins."""
        return self.stack.parts.vault.fingerprints_file

    @property
    def seal(self) -> Seal:
        """Return the keys of OpenBao's seal."""
        return seal_of(self.stack.parts.directory)

    async def wait(self, seconds: float, why: str) -> None:
        """Wait, and say why."""
        self.tell(f"waiting {seconds:.0f} s: {why}")
        await self.pause(seconds)

    async def roll(self, *services: str) -> None:
        """Restart services with their files of now, one after the other; raises RotationFailed.

        Connections to the API wait for the gateway's next process in its socket.
        """
        parts, ports, processes = self.stack.parts, self.stack.ports, self.stack.processes
        for name in services:
            self.tell(f"restarting the {name}")
            try:
                (program,) = (each for each in programs(parts, ports, processes.way) if each.name == name)
                await processes.restart(program)
                await until_ready(processes, ports, name)
            except (PartFailed, OSError, ValueError) as error:
                raise RotationFailed(f"the {name} was not restarted: {error}") from None

    async def reload_bus(self) -> None:
        """Have NATS read its accounts again; raises RotationFailed."""
        bus = self.stack.parts.nats
        self.tell("NATS reads its accounts")
        try:
            with bus.registry.held() as subscribers:
                bus.configure(subscribers)
                await reload_server(bus)
        except (SubscriberFailed, NatsFailed, OSError) as error:
            raise RotationFailed(
                f"NATS did not read its accounts: {str(error) or type(error).__name__}"
            ) from None

    async def restart_vault(self) -> None:
        """Restart OpenBao with its configuration and the keys of its seal; raises RotationFailed."""
        self.tell("restarting OpenBao")
        try:
            await restart_openbao(self.stack.processes, self.stack.parts.directory)
        except (PartFailed, httpx.HTTPError, OSError) as error:
            raise RotationFailed(f"OpenBao was not restarted: {error}") from None

    @asynccontextmanager
    async def vault(self) -> AsyncIterator[httpx.AsyncClient]:
        """Connect to OpenBao as root, with a restart before and after; raises RotationFailed."""
        self.tell("restarting OpenBao for the time of its change")
        try:
            async with vault_as_root(self.stack.processes, self.stack.parts.directory) as client:
                yield client
        except (PartFailed, httpx.HTTPError, OSError) as error:
            raise RotationFailed(f"OpenBao was not changed: {error}") from None

    @asynccontextmanager
    async def database(self, role: str) -> AsyncIterator[Connection]:
        """Connect to PostgreSQL as a role; raises RotationFailed."""
        try:
            async with await self.stack.parts.database.connect(role) as connection:
                yield connection
        except psycopg.Error as error:
            raise RotationFailed(f"PostgreSQL refused the change: {error}") from None

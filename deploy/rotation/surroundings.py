"""What a rotation needs of the place where the keys are: the local stack, or a cluster."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import httpx
import psycopg

from deploy.vault.seal import Seal

# In the order of a roll: requests at the gateway that wait for syncs end sooner while workers run.
SERVICES = ("gateway", "sync-worker", "vault-broker")


class RotationFailed(Exception):
    """A step was not done; the text says what to do, and the same command goes on from there."""


class Surroundings(Protocol):
    """A running system whose keys are rotated."""

    @property
    def keys(self) -> Path:
        """Return the folder of the keys, which its operator keeps."""

    @property
    def fingerprints_file(self) -> Path:
        """Return the file of the fingerprints that gateways pin."""

    @property
    def seal(self) -> Seal:
        """Return the keys that unseal the vault."""

    def tell(self, text: str) -> None:
        """Print one line of progress."""

    async def wait(self, seconds: float, why: str) -> None:
        """Wait, and say why."""

    async def roll(self, *services: str) -> None:
        """Give services their files again, and replace their processes in this order.

        It returns when the new ones are ready; raises RotationFailed.
        """

    async def reload_bus(self) -> None:
        """Let the bus read its accounts again; raises RotationFailed."""

    async def restart_vault(self) -> None:
        """Start the vault again with its configuration and the keys of its seal; raises RotationFailed."""

    def vault(self) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        """Connect to the vault, with the rights of provisioning; raises RotationFailed."""

    def database(self, role: str) -> AbstractAsyncContextManager[psycopg.AsyncConnection[tuple[object, ...]]]:
        """Connect to the database as a role; raises RotationFailed."""

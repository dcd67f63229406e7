"""A cluster whose keys are rotated: its objects are applied, and its pods replaced, by kubectl."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg

from deploy.database.connecting import connect, with_password
from deploy.database.passwords import candidates
from deploy.database.roles import Connection
from deploy.keys import FIRST_SEAL
from deploy.kubernetes.kubectl import AGAIN, Kubectl
from deploy.kubernetes.secrets import Object, Readable, objects
from deploy.rotation.surroundings import RotationFailed
from deploy.vault.calls import Refused
from deploy.vault.connecting import Access, connected
from deploy.vault.seal import Seal

POLL_SECONDS = 2.0
# A kubelet brings a changed object into the files of its pods within two minutes.
MOUNT_SECONDS = 180.0
TOLD_SECONDS = 300.0
ACCOUNTS = "accounts.conf"
MOUNTED = "/etc/nats/accounts.conf"
RELOAD = ("nats-server", "-sl=reload=/var/run/nats/nats.pid")
LOADED = ("wget", "-q", "-O", "-", "http://127.0.0.1:8222/varz")
# What every folder of keys has; a folder without one of them is not the one of the running cluster.
NEEDED = ("jwt.pem", "grant.pem", "seal*.key", "gateway.nk", "butler_owner.password")


class ClusterPlace:
    """The surroundings of a rotation in a cluster.

    `database_url` is that of `deploy.database`, None where no key needs it. `pause` waits for seconds.
    """

    def __init__(
        self,
        directory: Path,
        kubectl: Kubectl,
        vault: Access,
        database_url: str | None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._keys = directory
        self._kubectl, self._vault, self._database, self._pause = kubectl, vault, database_url, pause

    @property
    def keys(self) -> Path:
        """Return the folder of the cluster's keys, which its operator keeps."""
        return self._keys

    @property
    def fingerprints_file(self) -> Path:
        """Return the file of the fingerprints that gateways pin."""
        return self.keys / "fingerprints.env"

    @property
    def seal(self) -> Seal:
        """Return the keys that unseal the vault, which their Secret names."""
        return Seal(self.keys, FIRST_SEAL)

    def check(self) -> None:
        """Refuse a folder from which new keys would replace those of the cluster; raises RotationFailed."""
        for name in NEEDED:
            if not next(self.keys.glob(name), None):
                raise RotationFailed(f"{self.keys} has no {name}: name the folder with the cluster's keys")

    def tell(self, text: str) -> None:
        """Print one line of progress."""
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    async def wait(self, seconds: float, why: str) -> None:
        """Wait, and say each five minutes how long it takes yet."""
        self.tell(f"waiting {seconds:.0f} s: {why}")
        while seconds > TOLD_SECONDS:
            await self._pause(TOLD_SECONDS)
            seconds -= TOLD_SECONDS
            self.tell(f"{seconds:.0f} s are left")
        await self._pause(seconds)

    async def roll(self, *services: str) -> None:
        """Apply the objects, and replace the pods of services in this order; raises RotationFailed."""
        await self.apply()
        for service in services:
            self.tell(f"{service}: its pods are replaced")
            await self._kubectl.roll(f"deployment/{service}", f"app.kubernetes.io/name={service}")

    async def reload_bus(self) -> None:
        """Apply the accounts, and let each NATS server read them where it runs; raises RotationFailed.

        No server restarts, so that clients whose users stay keep their connections.
        """
        await self.apply()
        accounts = next(each["data"][ACCOUNTS] for each in self._objects() if ACCOUNTS in each["data"])
        size = ("get", "statefulset/nats", "--output", "jsonpath={.spec.replicas}")
        pods = [f"nats-{number}" for number in range(int(await self._kubectl.run(*size)))]
        self.tell(f"the accounts come into the files of {', '.join(pods)}")
        for pod in pods:
            await self._until(partial(self._has, pod, accounts), f"{pod} does not get its accounts")
        for pod in pods:
            before = await self._loaded(pod)
            await self._inside(pod, *RELOAD)
            await self._until(
                partial(self._read_again, pod, before),
                f"{pod} did not read its accounts: `kubectl logs {pod}` says why",
            )
            self.tell(f"{pod} has read its accounts")

    async def restart_vault(self) -> None:
        """Apply the objects, and replace the pods of OpenBao one after the other; raises RotationFailed."""
        await self.apply()
        self.tell("openbao: its pods are replaced")
        await self._kubectl.roll("statefulset/openbao", "app.kubernetes.io/name=openbao")

    @asynccontextmanager
    async def vault(self) -> AsyncIterator[httpx.AsyncClient]:
        """Connect to the vault as `deploy.vault` does; raises RotationFailed."""
        try:
            async with connected(self._vault) as client:
                yield client
        except (Refused, ValueError, OSError, httpx.HTTPError) as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise RotationFailed(f"the vault can not be used ({reason}): repair that, {AGAIN}") from None

    @asynccontextmanager
    async def database(self, role: str) -> AsyncIterator[Connection]:
        """Connect to the database as a role, with a password of the folder; raises RotationFailed."""
        if self._database is None:
            raise RotationFailed(f"this key needs the database: give --database-url, {AGAIN}")
        try:
            async with await self._connected(_as(role, self._database), role) as connection:
                yield connection
        except (ValueError, OSError, psycopg.Error) as error:
            reason = str(error).partition("\n")[0]
            raise RotationFailed(f"the database can not be used ({reason}): repair that, {AGAIN}") from None

    async def _connected(self, url: str, role: str) -> Connection:
        """Connect with the first password that the server accepts: a command may have died between."""
        *others, last = candidates(self.keys, role)
        for password in others:
            with suppress(psycopg.OperationalError):
                return await connect(with_password(url, password))
        return await connect(with_password(url, last))

    def _objects(self) -> list[Object]:
        try:
            return objects(self.keys, self._kubectl.namespace)
        except (Readable, ValueError, OSError) as error:
            raise RotationFailed(f"no objects are made: {error}; {AGAIN}") from None

    async def apply(self) -> None:
        """Apply the objects of the folder; raises RotationFailed."""
        self.check()
        await self._kubectl.apply(self._objects())

    async def _inside(self, pod: str, *command: str) -> str:
        return await self._kubectl.run("exec", pod, "--", *command)

    async def _has(self, pod: str, accounts: str) -> bool:
        return await self._inside(pod, "cat", MOUNTED) == accounts

    async def _loaded(self, pod: str) -> str:
        """Return when a server read its configuration, as it says it."""
        found = [
            line for line in (await self._inside(pod, *LOADED)).splitlines() if "config_load_time" in line
        ]
        return "".join(found)

    async def _read_again(self, pod: str, before: str) -> bool:
        return await self._loaded(pod) != before

    async def _until(self, true: Callable[[], Awaitable[bool]], otherwise: str) -> None:
        deadline = time.monotonic() + MOUNT_SECONDS
        while not await true():
            if time.monotonic() > deadline:
                raise RotationFailed(f"{otherwise}; {AGAIN}")
            await self._pause(POLL_SECONDS)


def _as(role: str, url: str) -> str:
    """Return the address with another role; raises ValueError if it holds a password."""
    parts = urlsplit(url)
    if parts.password:
        raise ValueError("the URL must hold no password")
    return parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}").geturl()

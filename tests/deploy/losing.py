"""A stack that is backed up twice, changes after each time, and is lost while a sync is under way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psutil

from deploy.backup.destroyed import listed
from deploy.backup.files import Backups
from deploy.backup.take import follow, take
from deploy.local.nats import running_nats
from deploy.local.openbao import running_openbao
from deploy.local.postgres import running_postgres
from deploy.local.restoring import require_restored
from deploy.local.services import Infrastructure, running_services, service_ports
from deploy.local.simulator import running_simulator
from deploy.local.stack import Stack
from tests.deploy.lives import calling, rows
from tests.forking import ForkingProcesses
from tests.processes import process_writing, suspended
from tests.system.person import Person, credentials
from tests.waiting import until

KEPT, DELETED, ROTATED, DELETED_LATE = "plain", "rich", "margin", "sub-account"

OPERATOR = """insert into operators (id, name, role, token_hash)
    values (gen_random_uuid(), 'grace', 'operator', sha256('token')) returning id"""


@dataclass
class Lost:
    """The stack's folder and backups, the last state that the user saw, and the moments of both backups.

    `destroyed` has the credentials that were destroyed, `known` each account and its last credential.
    """

    directory: Path
    backups: Backups
    email: str = ""
    refresh_token: str = ""
    accounts: dict[str, str] = field(default_factory=dict)
    known: dict[str, UUID] = field(default_factory=dict)
    destroyed: set[UUID] = field(default_factory=set)
    completed: set[str] = field(default_factory=set)
    moments: dict[str, datetime] = field(default_factory=dict)
    under_way: dict[str, str] = field(default_factory=dict)

    @property
    def list(self) -> Path:
        """Return the list of destroyed credentials."""
        return self.directory.with_name("destroyed.txt")

    async def credential(self, name: str) -> UUID:
        """Return the credential of an account."""
        query = "select credential_id from accounts where id = %s"
        ((credential,),) = await rows(self.directory, query, self.accounts[name])
        return UUID(str(credential))


@asynccontextmanager
async def living(directory: Path) -> AsyncIterator[Stack]:
    """Run a stack on the data of its folder, its services as forks."""
    require_restored(directory)
    processes = ForkingProcesses(directory / "logs")
    async with AsyncExitStack() as running:
        enter = running.enter_async_context
        nats, vault = await enter(running_nats(processes, directory)), running_openbao(processes, directory)
        opened, database = await enter(vault), await enter(running_postgres(processes, directory))
        exchange = await enter(running_simulator(processes, directory))
        parts, ports = Infrastructure(directory, nats, opened, database, exchange), service_ports()
        await enter(running_services(processes, parts, ports))
        yield Stack(processes, parts, ports)


async def lost_life(directory: Path) -> Lost:
    """Live, and die while the worker holds a sync."""
    lost = Lost(directory, Backups(directory.with_name("backups")))
    async with living(directory) as stack, calling(stack.api) as person:
        lost.email, lost.refresh_token = person.email, person.tokens["refresh_token"]
        for name in (KEPT, DELETED, ROTATED):
            await _connected(lost, person, name)
        await rows(directory, OPERATOR)
        async with _followed(lost):
            await _backed_up_in_a_sync(lost, stack, person, "early")
            await _deleted(lost, person, DELETED)
            lost.destroyed.add(lost.known[ROTATED])
            path = f"/accounts/{lost.accounts[ROTATED]}/credentials"
            await person.put(path, {"credentials": credentials(ROTATED)})
            lost.known[ROTATED] = await lost.credential(ROTATED)
            await _connected(lost, person, DELETED_LATE)
            await _backed_up_in_a_sync(lost, stack, person, "late")
            await _deleted(lost, person, DELETED_LATE)
            await until(lambda: _are_destroyed(lost))
        async with _held_worker(stack) as worker:
            lost.under_way["last"] = await _requested(lost, person)
            for process in (worker, process_writing(stack.processes.logs / "gateway.log")):
                process.kill()
    return lost


async def _connected(lost: Lost, person: Person, name: str) -> None:
    lost.accounts[name] = (await person.connect(name))["id"]
    lost.known[name] = await lost.credential(name)
    sync = await person.post(f"/accounts/{lost.accounts[name]}/sync")
    assert sync["status"] == "completed"
    lost.completed.add(sync["sync_id"])


async def _deleted(lost: Lost, person: Person, name: str) -> None:
    assert (await person.client.delete(f"/accounts/{lost.accounts[name]}")).status_code == 204
    lost.destroyed.add(lost.known.pop(name))


async def _are_destroyed(lost: Lost) -> bool:
    done = await rows(lost.directory, "select subject from audit where action = 'secret_destroyed'")
    return lost.destroyed == {subject for (subject,) in done} == listed(lost.list)


async def _requested(lost: Lost, person: Person) -> str:
    path = f"/accounts/{lost.accounts[KEPT]}/sync"
    return str((await person.post(path, status=202, Prefer="respond-async"))["sync_id"])


async def _backed_up_in_a_sync(lost: Lost, stack: Stack, person: Person, moment: str) -> None:
    """Take backups while a sync is under way, which then ends."""
    async with _held_worker(stack):
        sync_id = lost.under_way[moment] = await _requested(lost, person)
        await take(ForkingProcesses(lost.directory / "logs" / "backup"), lost.directory, lost.backups)
        lost.moments[moment] = datetime.now(UTC)

    async def ended() -> bool:
        return bool((await person.get(f"/syncs/{sync_id}"))["success"])

    await until(ended, 40)


@asynccontextmanager
async def _held_worker(stack: Stack) -> AsyncIterator[psutil.Process]:
    worker = process_writing(stack.processes.logs / "sync-worker.log")
    async with suspended(worker):
        yield worker


@asynccontextmanager
async def _followed(lost: Lost) -> AsyncIterator[None]:
    """Write the WAL and the list meanwhile."""
    processes = ForkingProcesses(lost.directory / "logs" / "following")
    following = asyncio.create_task(follow(processes, lost.directory, lost.backups, lost.list))

    async def receives() -> bool:
        assert not following.done(), following.exception()
        return bool(await rows(lost.directory, "select 1 from pg_stat_replication"))

    await until(receives)
    yield
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following

"""One running stack for each file, under a load of 20 syncs a second of several people while keys change."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from deploy.local.nats import running_nats
from deploy.local.openbao import running_openbao
from deploy.local.postgres import SUPERUSER, running_postgres
from deploy.local.rotating import Local
from deploy.local.services import Infrastructure, running_services, service_ports
from deploy.local.simulator import running_simulator
from deploy.local.stack import Stack
from deploy.rotation.surroundings import Surroundings
from deploy.simulator.okx.accounts import load_accounts
from tests.chaos.load import END_SECONDS
from tests.conformance.simulated import NUMBERED, write_accounts
from tests.forking import ForkingProcesses
from tests.loading import UNLIMITED, Load
from tests.system.person import CALL_SECONDS, Person
from tests.waiting import IN_THE_CLEAR, POLL_SECONDS, passed, until

SYNCS_PER_SECOND = 20.0
USERS = 4
# So many that each account's sync has ended before the next one is requested.
ACCOUNTS = [f"account-{number}" for number in range(80)]
# Clients do nothing in shorter waits.
SHORT_SECONDS = 60.0


@dataclass
class Running:
    """A stack, and people with accounts in it."""

    stack: Stack
    people: Sequence[Person]
    accounts: Sequence[tuple[Person, str]]

    def load(self) -> Load:
        """Return a load of syncs of all accounts."""
        return Load(self.accounts, SYNCS_PER_SECOND)

    @property
    def place(self) -> Surroundings:
        """Return the stack as a place of rotations, where clients do at once what they do in a long time."""
        return Local(self.stack, print, self._passes)

    async def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Run a query as the superuser."""
        async with await self.stack.parts.database.connect(SUPERUSER) as connection:
            return await (await connection.execute(query.encode(), values)).fetchall()

    async def _passes(self, seconds: float) -> None:
        """Refresh all access tokens, and wait until the syncs that are open have ended."""
        if seconds < SHORT_SECONDS:
            await until(passed(POLL_SECONDS))
            return
        await asyncio.gather(*map(refresh, self.people))
        opened = await self.rows("select id from syncs where status = 'queued'")
        ids = [sync_id for (sync_id,) in opened]

        async def ended() -> bool:
            query = "select 1 from syncs where status = 'queued' and id = any(%s) limit 1"
            return not await self.rows(query, ids)

        await until(ended, END_SECONDS)


async def refresh(person: Person) -> None:
    """Use a person's refresh token."""
    given = {"refresh_token": person.tokens["refresh_token"]}
    person.tokens = await person.post("/auth/refresh", given)
    person.client.headers["Authorization"] = f"Bearer {person.tokens['access_token']}"


@pytest_asyncio.fixture(name="running", scope="module")
async def _running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """Run a stack of its own, whose limits are wide."""
    directory = tmp_path_factory.mktemp("rotation")
    write_accounts(directory / "accounts.toml", NUMBERED)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in UNLIMITED.items():
            environment.setenv(name, value)
        async with AsyncExitStack() as entered:
            stack = await _started(entered, directory)
            people = [await _person(entered, stack, directory) for _ in range(USERS)]
            yield Running(stack, people, await _connected(people))


async def _started(entered: AsyncExitStack, directory: Path) -> Stack:
    processes = ForkingProcesses(directory / "logs")
    accounts = ("--admin-port", "0", "--accounts", directory / "accounts.toml")
    servers = (
        entered.enter_async_context(running_nats(processes, directory)),
        entered.enter_async_context(running_openbao(processes, directory)),
        entered.enter_async_context(running_postgres(processes, directory)),
        entered.enter_async_context(running_simulator(processes, directory, accounts)),
    )
    stack = Stack(processes, Infrastructure(directory, *await asyncio.gather(*servers)), service_ports())
    await entered.enter_async_context(running_services(processes, stack.parts, stack.ports))
    return stack


async def _person(entered: AsyncExitStack, stack: Stack, directory: Path) -> Person:
    client = httpx.AsyncClient(
        verify=IN_THE_CLEAR, base_url=f"{stack.api}/api/v1", timeout=CALL_SECONDS, trust_env=False
    )
    person = Person(await entered.enter_async_context(client), load_accounts(directory / "accounts.toml"))
    await person.sign_up()
    return person


async def _connected(people: Sequence[Person]) -> list[tuple[Person, str]]:
    """Connect the accounts, those of different people at once."""

    async def connect(person: Person, names: Sequence[str]) -> list[tuple[Person, str]]:
        return [(person, (await person.connect(name))["id"]) for name in names]

    own = [connect(person, ACCOUNTS[number::USERS]) for number, person in enumerate(people)]
    return [each for turn in zip(*await asyncio.gather(*own), strict=True) for each in turn]

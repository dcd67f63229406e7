"""Users on the whole running system."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING

import httpx
import pytest
import pytest_asyncio

from deploy.local.nats import Nats
from deploy.local.openbao import OpenBao
from deploy.local.postgres import Postgres
from deploy.local.stack import Stack
from tests.conformance.simulated import Admin, administering
from tests.joining import bus_of, joined
from tests.processes import process_writing, suspended
from tests.system.gateways import another_gateway
from tests.system.person import CALL_SECONDS, Person
from tests.system.vault import Vault
from tests.system.watching import CONFIG, Watched
from tests.waiting import IN_THE_CLEAR
from vault_broker.auth_methods import Method, approle

if TYPE_CHECKING:
    from tests.cluster.system import ContainerSystem

NewPerson = Callable[[], Awaitable[Person]]
# Suspends a service until the end of the block.
Hold = Callable[[str], AbstractAsyncContextManager[None]]


@pytest_asyncio.fixture(name="new_person")
async def _new_person(stack: Stack) -> AsyncIterator[NewPerson]:
    """Yield a function that signs up another user."""
    async with AsyncExitStack() as clients:

        async def sign_up() -> Person:
            client = httpx.AsyncClient(
                verify=IN_THE_CLEAR, base_url=f"{stack.api}/api/v1", timeout=CALL_SECONDS, trust_env=False
            )
            person = Person(await clients.enter_async_context(client))
            await person.sign_up()
            return person

        yield sign_up


@pytest_asyncio.fixture(name="person")
async def _person(new_person: NewPerson) -> Person:
    """Return a signed-in user."""
    return await new_person()


@pytest_asyncio.fixture(name="second_api")
async def _second_api(stack: Stack) -> AsyncIterator[str]:
    """Yield the address of a second gateway, which allows four registrations a minute."""
    async with another_gateway(stack, REGISTRATION_LIMIT_PER_MINUTE="4") as address:
        yield f"{address}/api/v1"


@pytest.fixture(name="hold")
def _hold(stack: Stack, cluster: "ContainerSystem | None") -> Hold:
    """Return a function that suspends a service."""
    if cluster:
        pods = cluster.pods
        return lambda service: pods[service].held()
    return lambda service: suspended(process_writing(stack.processes.logs / f"{service}.log"))


@pytest.fixture(name="login")
def _login(vault: OpenBao, cluster: "ContainerSystem | None") -> Method:
    """Return the broker's login at the vault."""
    return cluster.login if cluster else approle(vault.role_id_file, vault.secret_id_file)


@pytest_asyncio.fixture(name="vault_admin")
async def _vault_admin(
    stack: Stack, vault: OpenBao, login: Method, database: Postgres, nats: Nats
) -> AsyncIterator[Vault]:
    """Yield a view of the contents of the vault."""
    bus = bus_of(nats, "gateway")
    await bus.start()
    trust = ssl.create_default_context(cafile=vault.ca)
    async with httpx.AsyncClient(base_url=f"{vault.url}/v1/", verify=trust, timeout=15) as client:
        told = {**login.fields, **{name: file.read_text() for name, file in login.files.items()}}
        answer = (await client.post(login.path, json=told)).raise_for_status().json()
        client.headers["X-Vault-Token"] = answer["auth"]["client_token"]
        yield Vault(client, database, bus)
    await bus.stop()


@pytest_asyncio.fixture(name="admin")
async def _admin(stack: Stack) -> AsyncIterator[Admin]:
    """Yield the admin port of the exchange."""
    async with administering(stack.parts.simulator) as admin:
        yield admin


@pytest_asyncio.fixture(name="watched")
async def _watched(person: Person, database: Postgres, nats: Nats, admin: Admin) -> AsyncIterator[Watched]:
    """Yield a synced account, and reset the exchange afterwards."""
    user = await person.get("/me")
    async with await joined(nats, "subscriber") as client:
        events = await client.subscribe(f"butler.account.*.{user['id']}")
        await client.flush()
        watched = Watched(person, database, await person.connect("plain"), events)
        assert (await watched.sync())["status"] == "completed"
        yield watched
    for endpoint in (CONFIG, "account/balance", "asset/balances", "asset/asset-valuation"):
        await admin.clear("plain", endpoint)

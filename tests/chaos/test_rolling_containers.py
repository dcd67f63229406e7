"""A rolling update in containers under load, to a release with a new wallet and a new fault code and back."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from nats.aio.client import Client

from deploy.local.ports import LOOPBACK
from deploy.simulator.okx.accounts import load_accounts
from tests.chaos.load import all_ended_once
from tests.chaos.parts import World
from tests.cluster.versions import CODE, WALLET, build, changed_copy
from tests.containers.engine import docker
from tests.loading import Load
from tests.system.person import CALL_SECONDS, Person
from tests.waiting import IN_THE_CLEAR, passed, until

if TYPE_CHECKING:
    from tests.cluster.pods import Pod
    from tests.cluster.system import ContainerSystem

# In this order each version of a service meets both versions of the others, there and back.
ORDER = ("vault-broker", "sync-worker", "gateway")
SYNCS_PER_SECOND = 20.0
# So many that each account's sync has ended before the next one is requested.
ACCOUNTS = [f"account-{number}" for number in range(80)]
# The requests of one user wait for each other at the count of their limit.
USERS = 8
BASE = "http://gateway/api/v1"
# Proxies still send requests to a pod for so long after it was told to end; the manifest allows them 5 s.
PROXY_SECONDS = 4.0
log = logging.getLogger(__name__)


class Endpoints(httpx.AsyncBaseTransport):
    """Sends each request to the next of the gateways, as a Service does; no request is sent twice."""

    def __init__(self) -> None:
        self.ports: list[int] = []
        self._turn = count()
        # A request that waited for a free connection would reach a gateway chosen long before.
        self._transport = httpx.AsyncHTTPTransport(verify=IN_THE_CLEAR, limits=httpx.Limits())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request."""
        port = self.ports[next(self._turn) % len(self.ports)]
        request.url = request.url.copy_with(host=LOOPBACK, port=port)
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()


@pytest_asyncio.fixture(name="following")
async def _following(whole_cluster: "ContainerSystem", tmp_path: Path) -> AsyncIterator[dict[str, "Pod"]]:
    """Yield pods of the release that follows, not started; at the end those of this release run again."""
    images = build(changed_copy(tmp_path), f"test-{uuid4().hex[:8]}")
    pods = {name: await whole_cluster.another(name, images[name]) for name in ORDER}
    yield pods
    for name, pod in pods.items():
        pod.remove()
        if not (await whole_cluster.pods[name].state())["Running"]:
            await whole_cluster.pods[name].start()
    docker("image", "rm", *images.values())


@pytest.fixture(name="endpoints")
def _endpoints(whole_cluster: "ContainerSystem") -> Endpoints:
    endpoints = Endpoints()
    endpoints.ports = [whole_cluster.pods["gateway"].ports["api"]]
    return endpoints


@pytest_asyncio.fixture(name="people")
async def _people(world: World, endpoints: Endpoints) -> AsyncIterator[list[Person]]:
    simulated = load_accounts(world.directory / "accounts.toml")
    async with AsyncExitStack() as stack:
        people = []
        for _ in range(USERS):
            client = httpx.AsyncClient(transport=endpoints, base_url=BASE, timeout=CALL_SECONDS)
            people.append(Person(await stack.enter_async_context(client), simulated))
            await people[-1].sign_up()
        yield people


async def replace(before: "Pod", after: "Pod", endpoints: Endpoints) -> None:
    """Start a pod and, as soon as it is ready, end the one before with its preStop and its time."""
    await after.start()
    await after.until_ready()
    if "api" in after.ports:
        endpoints.ports.append(after.ports["api"])
    ending = asyncio.create_task(before.stop())
    if "api" in before.ports:
        await until(passed(PROXY_SECONDS))
        endpoints.ports.remove(before.ports["api"])
    assert await ending == 0, before.logs()[-4000:]


async def connected(people: list[Person]) -> list[tuple[Person, str]]:
    """Connect the accounts of the load, those of different users at once."""

    async def connect(person: Person, names: list[str]) -> list[tuple[Person, str]]:
        return [(person, (await person.connect(name))["id"]) for name in names]

    own = [connect(person, ACCOUNTS[number::USERS]) for number, person in enumerate(people)]
    return [each for turn in zip(*await asyncio.gather(*own), strict=True) for each in turn]


async def shown(person: Person, account: str) -> dict[str, str | None]:
    """Sync an account whose funding wallet is empty, and return the fault of each wallet."""
    await person.post(f"/accounts/{account}/sync", Prefer="wait=60")
    wallets = (await person.get(f"/accounts/{account}/balances"))["wallets"]
    return {each["wallet"]: each["error_code"] for each in wallets}


async def test_an_update_and_the_way_back_lose_nothing(
    world: World,
    whole_cluster: "ContainerSystem",
    bus: Client,
    people: list[Person],
    endpoints: Endpoints,
    following: dict[str, "Pod"],
) -> None:
    """Service by service: no request fails, and each sync is done and recorded once.

    The old gateway shows the new code, and leaves the new wallet out; the new one shows both.
    """
    accounts, person = await connected(people), people[0]
    empty = (await person.connect("empty"))["id"]
    known = {"trading": None, "funding": None, "earn": None}
    today = {name: whole_cluster.pods[name] for name in ORDER}
    load, faults = Load(accounts, SYNCS_PER_SECOND), []
    async with load.running():
        for old, new in ((today, following), (following, today)):
            for name in ORDER:
                await replace(old[name], new[name], endpoints)
                faults.append(await shown(person, empty))

    accepted = [*load.accepted]
    log.info("%d syncs", len(accepted))
    assert load.failed == {}
    await all_ended_once(world, bus, accepted)
    told = known | {"funding": CODE}
    assert faults == [
        known,
        told,
        told | {WALLET: None},
        told | {WALLET: None},
        known | {WALLET: None},
        known,
    ]

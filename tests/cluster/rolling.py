"""Pods in containers are replaced under load, as a Deployment does it."""

import asyncio
from itertools import count
from typing import TYPE_CHECKING

import httpx

from deploy.local.ports import LOOPBACK
from tests.system.person import Person
from tests.waiting import IN_THE_CLEAR, passed, until

if TYPE_CHECKING:
    from tests.cluster.pods import Pod

SYNCS_PER_SECOND = 20.0
# So many that each account's sync has ended before the next one is requested.
ACCOUNTS = [f"account-{number}" for number in range(80)]
# The requests of one user wait for each other at the count of their limit.
USERS = 8
BASE = "http://gateway/api/v1"
# Proxies still send requests to a pod for so long after it was told to end; the manifest allows them 5 s.
PROXY_SECONDS = 4.0


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

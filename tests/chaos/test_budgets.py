"""Four workers behind one address, and an exchange that bans an address above its limit."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from signal import SIGKILL

import httpx
import pytest
import pytest_asyncio
from nats.aio.client import Client

from contracts import subjects
from contracts.streams import BUDGETS
from tests.chaos.load import all_ended_once
from tests.chaos.parts import Service, World
from tests.conformance.simulated import NUMBERED, write_accounts
from tests.loading import UNLIMITED, WHILE_DYING, Load
from tests.system.person import Person
from tests.waiting import IN_THE_CLEAR, passed, until

# The rate that the workers reach is measured, for which they need the processors.
pytestmark = pytest.mark.alone
CALLS, WINDOW, BAN = 60, 2.0, 20.0
RATE = CALLS / WINDOW
# More syncs than the address has calls for.
SYNCS_PER_SECOND = 6.0
RAMP_SECONDS, MEASURED_SECONDS = 5.0, 8.0
# A budget has its size back ten windows after a ban.
GROWN_SECONDS = 11 * WINDOW
READY_SECONDS = 30.0
# Enough that calls always wait, and few enough that they end soon after the load.
ACCOUNTS = 40
# Calls that were under way when the ban began.
UNDER_WAY_SECONDS = 1.0


@pytest_asyncio.fixture(name="one_world", scope="module")
async def _one_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    directory = tmp_path_factory.mktemp("budgets")
    accounts = directory / "accounts.toml"
    write_accounts(accounts, NUMBERED)
    limits = ("--address-limit", f"{CALLS}/{WINDOW}", "--address-ban", str(BAN))
    settings = UNLIMITED | {"EXCHANGE_OKX_CALLS_PER_ADDRESS": f"{CALLS}/{WINDOW}"}
    world = await World.start(directory, accounts, None, limits, **settings)
    yield world
    await world.stop()


@pytest_asyncio.fixture(name="workers")
async def _workers(world: World) -> AsyncIterator[list[Service]]:
    """Yield four workers: that of the system and three more."""
    async with AsyncExitStack() as stack:
        more = [world.replica("sync-worker") for _ in range(3)]
        for worker in more:
            stack.push_async_callback(worker.close)
            await worker.start()
        for worker in more:
            await until(worker.ready, READY_SECONDS)
        yield [world.services["sync-worker"], *more]


class Exchange:
    """The exchange as its operator and as another program behind our address see it."""

    def __init__(self, world: World) -> None:
        simulator = world.parts.simulator
        assert simulator is not None
        self._admin, self._origin = f"{simulator.admin}/addresses", simulator.exchanges["okx"]["global"]
        self._tls = ssl.create_default_context(cafile=simulator.ca)

    async def counts(self) -> dict[str, float]:
        """Return the counts of calls by address: all workers and the tests have the same."""
        async with httpx.AsyncClient(verify=IN_THE_CLEAR, trust_env=False) as client:
            found: dict[str, float] = (await client.get(self._admin)).raise_for_status().json()
        return found

    async def exceed(self) -> None:
        """Call it as often as it allows, and once too often."""
        async with httpx.AsyncClient(verify=self._tls, trust_env=False) as client:
            while True:
                url = f"{self._origin}/api/v5/public/instruments"
                if (await client.get(url)).status_code == httpx.codes.TOO_MANY_REQUESTS:
                    return

    async def rate(self, seconds: float) -> float:
        """Return how many calls a second it admits now."""
        loop = asyncio.get_running_loop()
        before, began = await self.counts(), loop.time()
        await until(passed(seconds), seconds + 5)
        return float((await self.counts())["admitted"] - before["admitted"]) / (loop.time() - began)


async def test_four_workers_keep_one_limit_whatever_dies(
    world: World, person: Person, workers: list[Service], bus: Client
) -> None:
    """They use nine tenths of the limit and are never refused; a ban of the address stops all of them.

    After it they come back to nine tenths without a refusal, though a worker, the bus and the bucket are lost
    meanwhile. Each sync that was accepted ends once.
    """
    exchange = Exchange(world)
    accounts = [await person.connect(name) for name in NUMBERED[:ACCOUNTS]]
    load = Load([(person, each["id"]) for each in accounts], SYNCS_PER_SECOND, WHILE_DYING)
    async with load.running():
        await until(passed(RAMP_SECONDS))
        assert await exchange.rate(MEASURED_SECONDS) >= 0.9 * RATE
        assert (await exchange.counts())["refused"] == 0

        await exchange.exceed()
        await until(passed(UNDER_WAY_SECONDS))
        banned = await exchange.counts()
        assert banned["latest_in_ban"] <= UNDER_WAY_SECONDS
        key = subjects.budgets("default", "okx")
        await bus.jetstream().purge_stream(BUDGETS, subject=key)
        await workers[1].end(SIGKILL)
        await until(passed(BAN / 2), BAN)
        await world.nats.end(SIGKILL)
        await world.restart_nats()
        await workers[1].start()
        await until(passed(BAN / 2 + GROWN_SECONDS), BAN + GROWN_SECONDS)

        assert await exchange.rate(MEASURED_SECONDS) >= 0.9 * RATE
        at_last = await exchange.counts()
        assert at_last == banned | {"admitted": at_last["admitted"]}
    assert load.failed == {}
    await all_ended_once(world, bus, [*load.accepted])

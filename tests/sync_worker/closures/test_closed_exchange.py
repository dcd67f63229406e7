"""Two workers behind one address and a closed exchange: what they send, and what becomes of syncs."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid4

import httpx
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts import subjects
from contracts.closures import MAINTENANCE, UNAVAILABLE
from contracts.credentials import Refused, Verified
from contracts.faults import Code
from contracts.prices import PricesRead
from contracts.syncs import Status, SyncFailed, SyncOutcome, SyncRequested, SyncWaiting
from contracts.wire.envelope import decode
from deploy.local.nats import Nats
from deploy.local.processes import Processes, Program
from deploy.local.simulator import Simulator, running_simulator
from deploy.simulator.okx.accounts import Accounts
from tests.joining import joined
from tests.sync_worker.conftest import READY_SECONDS, service
from tests.sync_worker.system import Gateway, Service, Worker
from tests.sync_worker.test_prices import request as request_prices
from tests.waiting import IN_THE_CLEAR, passed, until

FIRST, LONGEST = 2.0, 4.0
REGION = "global"
READS_OF_A_SYNC = "/api/v5/account/balance"
Heard = TypeVar("Heard", SyncWaiting, PricesRead)
NAMES = ("plain", "sub-account", "trade-enabled", "withdraw-enabled")


class Shop:
    """An exchange of its own for this file, as its operator sees it."""

    def __init__(self, simulator: Simulator) -> None:
        assert simulator.admin is not None
        self._admin = simulator.admin

    async def calls(self) -> int:
        """Count all calls."""
        return sum((await self._ask("GET", f"/calls/okx/{REGION}")).json().values())

    async def tries(self) -> int:
        """Count the syncs and verifications that were sent, by the read that each has."""
        return int((await self._ask("GET", f"/calls/okx/{REGION}")).json().get(READS_OF_A_SYNC, 0))

    async def close(self, seconds: float, *, announced: bool = True) -> float:
        """Begin a maintenance, and return its end by the monotonic clock."""
        ends = time.monotonic() + seconds
        pause = {"seconds": seconds, "announced": announced}
        await self._ask("PUT", f"/maintenance/okx/{REGION}", pause)
        return ends

    async def open(self) -> None:
        """End the maintenance."""
        await self._ask("DELETE", f"/maintenance/okx/{REGION}")

    async def ban(self, seconds: float) -> None:
        """Ban our address."""
        await self._ask("PUT", "/ban", {"seconds": seconds})

    async def _ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        async with httpx.AsyncClient(verify=IN_THE_CLEAR, trust_env=False) as client:
            return (await client.request(method, f"{self._admin}{path}", json=body)).raise_for_status()


@pytest_asyncio.fixture(name="own_exchange", scope="module")
async def _own_exchange(processes: Processes, directory: Path) -> AsyncIterator[Simulator]:
    folder = directory / "closing"
    folder.mkdir()
    async with running_simulator(processes, folder, ("--admin-port", "0")) as exchange:
        yield exchange


@pytest_asyncio.fixture(name="workers", scope="module")
async def _workers(
    processes: Processes, directory: Path, broker: Service, bus_server: Nats, own_exchange: Simulator
) -> AsyncIterator[list[Worker]]:
    """Run two workers behind one address."""
    settings = {f"EXCHANGE_OKX_{key.upper()}_URL": url for key, url in own_exchange.exchanges["okx"].items()}
    settings |= {
        "EXCHANGE_CA_FILE": own_exchange.ca,
        "EGRESS_GROUP": uuid4().hex,
        "EXCHANGE_PROBE_SECONDS": f"{FIRST}/{LONGEST}",
        "LOG_LEVEL": "debug",
    }
    async with AsyncExitStack() as stack:
        workers = []
        for name in ("closing-worker-1", "closing-worker-2"):
            told = service("sync-worker", "sync_worker", bus_server, settings)
            program = Program(name, told.command, told.environment)
            process = await stack.enter_async_context(processes.running(program))
            worker = Worker.of(program, process, directory / "logs" / f"{name}.log")
            await processes.until(name, worker.ready, READY_SECONDS)
            workers.append(worker)
        yield workers


@pytest_asyncio.fixture(name="shop")
async def _shop(
    own_exchange: Simulator, workers: list[Worker], gateway: Gateway, keys: list[UUID]
) -> AsyncIterator[Shop]:
    """Yield the exchange, which is open and known to be after each test."""
    shop = Shop(own_exchange)
    yield shop
    await shop.open()

    async def are_open() -> bool:
        return not any([await degraded(worker) for worker in workers])

    if not await are_open():
        await gateway.sync(gateway.request(keys[0], REGION, 60.0))
    await until(are_open, 30)


@pytest_asyncio.fixture(name="keys", scope="module")
async def _keys(gateway: Gateway, accounts: Accounts) -> list[UUID]:
    return [await gateway.store(accounts[name]) for name in NAMES]


@pytest_asyncio.fixture(name="admin")
async def _admin(bus_server: Nats) -> AsyncIterator[Client]:
    async with await joined(bus_server, "admin") as client:
        yield client


async def heard(admin: Client, subject: str, kind: type[Heard]) -> list[Heard]:
    """Return a list to which the messages of a subject will be added."""
    messages: list[Heard] = []

    async def on_message(message: Msg) -> None:
        messages.append(decode(message.data, kind))

    await admin.subscribe(subject, cb=on_message)
    await admin.flush()
    return messages


async def closed_at(worker: Service, part: str = f"exchange/okx/{REGION}") -> bool:
    """Return whether a worker says that its exchange is closed."""
    return part in await degraded(worker)


async def degraded(worker: Service) -> list[str]:
    """Return the exchanges that a worker says are closed; it stays ready."""
    response = await worker.get("/readyz")
    assert response.status_code == httpx.codes.OK
    return [part for part in response.json()["degraded"] if part.startswith("exchange/")]


async def shows(worker: Service, line: str) -> bool:
    """Return whether a worker has a metric with this value."""
    return line in (await worker.get("/metrics")).text.splitlines()


async def is_among(readings: list[PricesRead], request_id: UUID) -> bool:
    """Return whether the reading of a request was published."""
    return any(each.request_id == request_id for each in readings)


async def reading_of_prices(admin: Client, readings: list[PricesRead]) -> PricesRead:
    """Ask for prices, and return the one reading that answers."""
    asked = await request_prices(admin)
    await until(partial(is_among, readings, asked.request_id), 10)
    (reading,) = [each for each in readings if each.request_id == asked.request_id]
    return reading


async def ended(gateway: Gateway, requests: list[SyncRequested]) -> list[SyncOutcome]:
    """Wait for the outcomes of requests."""
    return list(await asyncio.gather(*(gateway.outcome(each) for each in requests)))


async def test_until_the_announced_end_no_worker_calls(
    shop: Shop, workers: list[Worker], gateway: Gateway, keys: list[UUID], admin: Client
) -> None:
    """One try finds it, for both; syncs that can wait complete then, others and readings say why not."""
    waiting = await heard(admin, subjects.sync_waiting("okx"), SyncWaiting)
    assert (await gateway.sync(gateway.request(keys[0], REGION))).status == Status.COMPLETED
    readings = await heard(admin, subjects.prices_read("okx"), PricesRead)
    ends = await shop.close(11.0)
    found = gateway.request(keys[1], REGION, 60.0)
    await gateway.publish(found)
    for worker in workers:
        await until(partial(closed_at, worker), 10)
    calls = await shop.calls()

    patient = [gateway.request(key, REGION, 60.0) for key in keys]
    hasty = [gateway.request(key, REGION, 6.0) for key in keys[:2]]
    for each in (*patient, *hasty):
        await gateway.publish(each)
    for failed in await ended(gateway, hasty):
        assert isinstance(failed, SyncFailed)
        assert failed.error_code == Code.EXCHANGE_UNAVAILABLE
        assert failed.retry_after is not None
        assert abs(failed.retry_after - (ends - time.monotonic())) < 1.5
    began = time.monotonic()
    refused = await gateway.verify(keys[0], REGION)
    assert isinstance(refused, Refused)
    assert (refused.code, time.monotonic() - began < 1.0) == (Code.EXCHANGE_UNAVAILABLE, True)
    assert refused.detail == "We sent no request: the exchange says that it is in maintenance."
    assert abs((refused.retry_after or 0.0) - (ends - time.monotonic())) < 1.5
    reading = await reading_of_prices(admin, readings)
    assert (reading.error_code, reading.quotes, reading.indexes) == (Code.EXCHANGE_UNAVAILABLE, None, None)
    await until(passed(ends - time.monotonic() - 0.5))
    assert await shop.calls() == calls

    for outcome in await ended(gateway, [found, *patient]):
        assert outcome.status == Status.COMPLETED
    told = {each.sync_id: each.seconds for each in waiting if each.error_code == Code.EXCHANGE_UNAVAILABLE}
    assert told.keys() >= {each.sync_id for each in patient}
    assert isinstance(await gateway.verify(keys[0], REGION), Verified)
    assert MAINTENANCE in {line["reason"] for worker in workers for line in worker.lines("exchange_closed")}


async def test_without_a_word_of_its_end_both_workers_share_one_probe_at_a_time(
    shop: Shop, workers: list[Worker], gateway: Gateway, keys: list[UUID]
) -> None:
    """Several keys that are refused close it; then one sync in each interval tries, and finds the end."""
    await shop.close(600.0, announced=False)
    requests = [gateway.request(key, REGION, 90.0) for key in keys]
    for each in requests:
        await gateway.publish(each)
    for worker in workers:
        await until(partial(closed_at, worker), 30)
    await until(passed(1.0))  # for tries that were under way
    tries, began = await shop.tries(), time.monotonic()

    await until(passed(9.0), 15)
    probes, took = await shop.tries() - tries, time.monotonic() - began
    shown = f'butler_exchange_closed{{exchange="okx",reason="{UNAVAILABLE}",region="{REGION}"}} 1.0'
    await until(partial(shows, workers[0], shown), 15)
    assert 1 <= probes <= 1 + (took - FIRST) / LONGEST + 1
    await shop.open()
    for outcome in await ended(gateway, requests):
        assert (outcome.status, outcome.attempt > 1) == (Status.COMPLETED, True)
    assert UNAVAILABLE in {line["reason"] for worker in workers for line in worker.lines("exchange_closed")}


async def test_during_a_ban_no_worker_calls(
    shop: Shop, workers: list[Worker], gateway: Gateway, keys: list[UUID]
) -> None:
    """One call learns of it, for both; a sync that can not wait names a time after its end."""
    ends = time.monotonic() + 9.0
    await shop.ban(9.0)
    patient = [gateway.request(key, REGION, 60.0) for key in keys]
    await gateway.publish(patient[0])
    for worker in workers:
        await until(partial(closed_at, worker, "exchange/okx"), 10)
    await until(passed(1.0))  # for calls that were under way
    calls = await shop.calls()

    hasty = gateway.request(keys[0], REGION, 5.0)
    for each in (*patient[1:], hasty):
        await gateway.publish(each)
    failed = await gateway.outcome(hasty)
    assert isinstance(failed, SyncFailed)
    assert failed.error_code == Code.RATE_LIMITED
    assert (failed.retry_after or 0.0) > ends - time.monotonic() - 1.0
    await until(passed(ends - time.monotonic() - 0.5))
    assert await shop.calls() == calls
    for outcome in await ended(gateway, patient):
        assert outcome.status in (Status.COMPLETED, Status.PARTIAL)

"""A worker and an exchange that admits no two calls closer than a window divided by its limit."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest_asyncio

from contracts.syncs import Status
from deploy.local.nats import Nats
from deploy.local.processes import Processes
from deploy.local.simulator import Simulator, running_simulator
from deploy.simulator.okx.accounts import Accounts
from sync_worker.exchanges.okx.connector import ALL_READS
from tests.sync_worker.conftest import READY_SECONDS, service
from tests.sync_worker.system import Gateway, Service, Worker
from tests.waiting import IN_THE_CLEAR

# Calls reach the exchange a bit earlier or later than evenly, so our limit is lower.
ITS_LIMIT, OURS = "8/2", "5/2"


@dataclass(frozen=True)
class Strict:
    """The exchange, and a worker that reads it."""

    exchange: Simulator
    worker: Worker


@pytest_asyncio.fixture(name="strict")
async def _strict(
    processes: Processes, tmp_path: Path, directory: Path, bus_server: Nats, broker: Service
) -> AsyncIterator[Strict]:
    limits = ("--admin-port", "0", "--address-limit", ITS_LIMIT, "--address-ban", "20", "--address-spread")
    async with running_simulator(processes, tmp_path, limits) as exchange:
        settings = {
            "EXCHANGE_OKX_GLOBAL_URL": exchange.exchanges["okx"]["global"],
            "EXCHANGE_OKX_CALLS_PER_ADDRESS": OURS,
            "EXCHANGE_CA_FILE": exchange.ca,
            "EGRESS_GROUP": "no-bursts",
        }
        program = service("sync-worker", "sync_worker", bus_server, settings)
        async with processes.running(program) as process:
            worker = Worker.of(program, process, directory / "logs" / "sync-worker.log")
            await processes.until("sync-worker", worker.ready, READY_SECONDS)
            yield Strict(exchange, worker)


async def test_calls_are_spread_so_that_no_burst_is_refused(
    strict: Strict, gateway: Gateway, accounts: Accounts
) -> None:
    """Two syncs at once are read whole, though each reads eleven lists, and no call is refused."""
    requests = [
        gateway.request(await gateway.store(accounts[each]), seconds=60) for each in ("plain", "rich")
    ]
    for request in requests:
        await gateway.publish(request)

    assert [(await gateway.outcome(each)).status for each in requests] == [Status.COMPLETED] * 2
    async with httpx.AsyncClient(verify=IN_THE_CLEAR, trust_env=False) as client:
        counts = (await client.get(f"{strict.exchange.admin}/addresses")).json()
    assert counts["refused"] == 0
    assert counts["admitted"] >= 2 * len(ALL_READS)

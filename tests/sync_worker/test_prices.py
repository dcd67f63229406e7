"""A worker reads public prices on request, without a signature, and publishes what it could read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg
from uuid_utils.compat import uuid7

from contracts import subjects
from contracts.faults import Code
from contracts.prices import PricesRead, PricesRequested
from contracts.wire.envelope import SECONDS_LEFT_HEADER, decode, encode
from deploy.local.nats import Nats
from deploy.local.processes import Processes, Program
from deploy.local.simulator import Simulator
from tests.joining import joined
from tests.sync_worker.conftest import READY_SECONDS, service
from tests.sync_worker.scripted import ScriptedExchange, refusal, response, rows
from tests.sync_worker.system import Service, Worker
from tests.waiting import until

TICKERS = "/api/v5/market/tickers?instType=SPOT"
INDEXES = "/api/v5/market/index-tickers?quoteCcy=USD"
NOW_MS = str(int(datetime.now(UTC).timestamp() * 1000))
BOOK = {"bidPx": "64000", "askPx": "64001", "volCcy24h": "9"}
TICKER = {"instId": "BTC-USDT", "last": "64000", "ts": NOW_MS, **BOOK}
INDEX = {"instId": "USDT-USD", "idxPx": "0.9995", "ts": NOW_MS}
Ask = Callable[..., Awaitable[PricesRead]]


@pytest_asyncio.fixture(name="admin")
async def _admin(bus_server: Nats) -> AsyncIterator[Client]:
    client = await joined(bus_server, "admin")
    yield client
    await client.close()


@pytest_asyncio.fixture(name="pricing_worker", scope="module")
async def _pricing_worker(
    processes: Processes,
    directory: Any,
    bus_server: Nats,
    exchange: Simulator,
    scripted_server: ScriptedExchange,
) -> AsyncIterator[Worker]:
    """Run a worker whose first region is the scripted exchange."""
    settings = {"EXCHANGE_OKX_GLOBAL_URL": scripted_server.origin, "EXCHANGE_CA_FILE": exchange.ca}
    told = service("sync-worker", "sync_worker", bus_server, settings)
    program = Program("pricing-worker", told.command, told.environment)
    async with processes.running(program) as process:
        worker = Worker.of(program, process, directory / "logs" / "pricing-worker.log")
        await processes.until("pricing-worker", worker.ready, READY_SECONDS)
        yield worker


async def request(admin: Client, seconds_left: str = "30.000") -> PricesRequested:
    """Publish a request and return it."""
    now = datetime.now(UTC)
    asked = PricesRequested("okx", uuid7(), now, now + timedelta(seconds=30))
    headers = {SECONDS_LEFT_HEADER: seconds_left}
    await admin.jetstream().publish(subjects.prices_requested("okx"), encode(asked), headers=headers)
    return asked


@pytest_asyncio.fixture(name="ask")
async def _ask(admin: Client, pricing_worker: Service, scripted: ScriptedExchange) -> Ask:
    """Return a function that requests prices and returns the reading; both lists are good at first."""
    scripted.scripts |= {TICKERS: rows(TICKER), INDEXES: rows(INDEX)}
    heard: asyncio.Queue[PricesRead] = asyncio.Queue()

    async def on_read(message: Msg) -> None:
        heard.put_nowait(decode(message.data, PricesRead))

    await admin.subscribe(subjects.prices_read("okx"), cb=on_read)

    async def ask() -> PricesRead:
        asked = await request(admin)
        async with asyncio.timeout(30):
            while (read := await heard.get()).request_id != asked.request_id:
                pass
        return read

    return ask


async def test_both_lists_are_read_without_a_signature(ask: Ask, scripted: ScriptedExchange) -> None:
    """The reading has quotes and indexes; no request carries a header of a key."""
    read = await ask()

    assert [(each.base, each.quote, each.last) for each in read.quotes or ()] == [("BTC", "USDT", "64000")]
    assert [(each.base, each.price) for each in read.indexes or ()] == [("USDT", "0.9995")]
    assert read.error_code is None
    assert {TICKERS, INDEXES} <= set(scripted.targets())
    assert not [head for head in scripted.heads if b"ok-access" in head.lower()]


async def test_a_list_that_can_not_be_read_has_a_code(ask: Ask, scripted: ScriptedExchange) -> None:
    """The other list is published, and nothing stands for the one that is missing."""
    for script, code in (
        (refusal("50011", status="429 Too Many Requests"), Code.RATE_LIMITED),
        (response(b"<html>", "502 Bad Gateway"), Code.EXCHANGE_UNAVAILABLE),
        (response(b'{"code":"0","data":{}}'), Code.UNEXPECTED_RESPONSE),
    ):
        scripted.scripts[TICKERS] = script

        read = await ask()

        assert (read.quotes, read.error_code) == (None, code)
        assert len(read.indexes or ()) == 1


async def test_a_request_that_is_late_is_dropped(
    ask: Ask, admin: Client, pricing_worker: Worker, scripted: ScriptedExchange
) -> None:
    """The worker asks the exchange nothing, because a newer request follows."""
    before = len(scripted.heads)
    late = await request(admin, seconds_left="-1.000")

    async def dropped() -> bool:
        lines = pricing_worker.lines("prices_too_late")
        return str(late.request_id) in {line["request_id"] for line in lines}

    await until(dropped)
    assert TICKERS not in scripted.targets()[before:]
    assert (await ask()).error_code is None

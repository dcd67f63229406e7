"""Workers share what they know of closed exchanges in a bucket of a real bus, or keep it for themselves."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

import pytest
import pytest_asyncio
from nats.aio.client import Client

from chassis.bus.inspection import nats_clock
from chassis.bus.provision import create_streams
from chassis.clocks import Clocks
from contracts import subjects
from contracts.closures import UNAVAILABLE, Closure, Closures, RegionTold
from contracts.credentials import Verified
from contracts.exchanges.okx import OKX
from contracts.faults import Code, failure
from contracts.prices import PricesRead, PricesRequested
from contracts.streams import BUDGETS
from contracts.syncs import Rights
from contracts.wire.envelope import encode
from contracts.wire.topology import SYNC_WORKER_CONSUMERS
from deploy.local.nats import Nats
from sync_worker.broker import Access
from sync_worker.closures.breaker import PROBE_SECONDS, Breaker, closed, probed
from sync_worker.closures.gate import Gate
from sync_worker.closures.gated import Gated
from sync_worker.closures.hearing import Heard, Maintenance
from sync_worker.errors import ExchangeClosed
from sync_worker.settings import Pace
from sync_worker.sync import Reading, nothing_read
from sync_worker.timing import Timing
from tests.joining import bus_of, joined
from tests.waiting import until

HERE = ("okx", "global")
LATER = Pace(60.0, 600.0)
Make = Callable[[], Awaitable[Gate]]


@pytest_asyncio.fixture(name="admin")
async def _admin(bus_server: Nats) -> AsyncIterator[Client]:
    async with await joined(bus_server, "admin") as client:
        yield client


@pytest_asyncio.fixture(name="make")
async def _make(bus_server: Nats) -> AsyncIterator[Make]:
    """Yield a function that makes the gate of a worker with a connection of its own."""
    group = uuid4().hex
    async with AsyncExitStack() as stack:

        async def make() -> Gate:
            bus = bus_of(bus_server, "sync-worker", "worker")
            timing = Timing(Clocks(), nats_clock(bus, SYNC_WORKER_CONSUMERS[0]))
            gate = Gate(bus, {"okx": OKX}, group, timing.server_time, LATER)
            gate.declare()
            await bus.start()
            await bus.client.flush()  # it hears all that follows
            stack.push_async_callback(bus.stop)
            return gate

        yield make


async def shut(gate: Gate) -> bool:
    """Close the region."""
    return await gate.change(*HERE, partial(closed, pace=gate.pace, said=None))


async def overdue(gate: Gate) -> bool:
    """Close the region, with a probe that was due long ago by any clock."""
    return await gate.change(*HERE, lambda _before, now: Closure(UNAVAILABLE, now - 60, now - 50))


def breaker(gate: Gate) -> Breaker:
    """Return what a worker knows of the region."""
    return gate.breakers[HERE]


async def is_shut(gate: Gate) -> bool:
    """Return whether a worker knows that the region is closed."""
    return breaker(gate).closure is not None


async def test_a_closure_is_known_to_all_at_once_and_to_a_new_worker(make: Make) -> None:
    """Each has the same times; so does the end, and another region stays open."""
    first, second = await make(), await make()
    assert not await first.enter(*HERE)
    assert await shut(first)
    assert not await shut(second)
    third = await make()

    for gate in (first, second, third):
        with pytest.raises(ExchangeClosed) as caught:
            await gate.enter(*HERE)
        assert caught.value.retry_after == pytest.approx(60.0, abs=5.0)
        assert not await gate.enter("okx", "eea")
    assert not await gate.checks()["exchange/okx/global"]()
    await first.change(*HERE, lambda before, now: probed(before, Heard.ANSWERS, now, LATER, None))
    for gate in (first, second):
        await until(lambda gate=gate: _not(is_shut(gate)))  # type: ignore[misc]
        assert not await gate.enter(*HERE)


async def _not(what: Awaitable[bool]) -> bool:
    return not await what


async def test_of_many_that_come_at_once_one_is_the_probe(make: Make) -> None:
    """Whichever worker they come to; the others come again soon."""
    gates = [await make() for _ in range(4)]
    await overdue(gates[0])

    entered = await asyncio.gather(*(gate.enter(*HERE) for gate in gates * 5), return_exceptions=True)

    assert entered.count(True) == 1
    refused = [each for each in entered if isinstance(each, ExchangeClosed)]
    assert len(refused) == len(entered) - 1
    assert {each.retry_after for each in refused} == {2.0}


async def test_an_announcement_that_was_missed_is_read_from_the_bucket(make: Make, admin: Client) -> None:
    """The value counts, whatever was heard; an older announcement, and one of our own, change nothing."""
    gate, other = await make(), await make()
    await shut(gate)
    await until(partial(is_shut, other))
    group, known = gate._group, other._sequences["okx"]
    subject = subjects.region_told(group, "okx")
    for said in (RegionTold("a" * 32, "global", known), RegionTold(other._worker, "global", known + 1)):
        await other.on_announcement(subject, encode(said))
    await other.on_announcement(subject, b"nonsense")
    assert await is_shut(other)
    await other.on_announcement(subject, encode(RegionTold("a" * 32, "global", known + 1)))
    assert not await is_shut(other)
    await other.refresh("okx")
    assert await is_shut(other)

    await admin.jetstream().publish(subjects.closures(group, "okx"), encode(Closures()))
    for each in (gate, other):
        await each.refresh("okx")
        assert not await is_shut(each)


async def test_a_lost_bucket_opens_nothing(make: Make, admin: Client) -> None:
    """A worker that knows of a closure writes it again with its next change."""
    gate, other = await make(), await make()
    await overdue(gate)
    await until(partial(is_shut, other))
    await admin.jetstream().purge_stream(BUDGETS, subject=subjects.closures(gate._group, "okx"))

    await gate.refresh("okx")
    assert await is_shut(gate)
    assert await other.enter(*HERE)
    await gate.refresh("okx")
    closure = breaker(gate).closure
    assert closure is not None
    assert closure.probing
    assert 0 < closure.until - await gate.now() <= PROBE_SECONDS


@asynccontextmanager
async def without_bucket(admin: Client) -> AsyncIterator[None]:
    """Delete the bucket, and provision it again at the end."""
    await admin.jetstream().delete_stream(BUDGETS)
    try:
        yield
    finally:
        await create_streams(admin.jetstream())


@pytest_asyncio.fixture(name="without_bucket")
async def _without_bucket(admin: Client) -> AsyncIterator[None]:
    async with without_bucket(admin):
        yield


async def test_a_bucket_that_is_lost_later_leaves_the_announcements(make: Make, admin: Client) -> None:
    """A worker that has read a value hears one that was announced without the bucket, too."""
    gate, other = await make(), await make()
    await overdue(gate)
    await until(partial(is_shut, other))
    await other.refresh("okx")

    async with without_bucket(admin):
        await gate.change(*HERE, lambda before, now: probed(before, Heard.ANSWERS, now, LATER, None))
        await until(lambda: _not(is_shut(other)))


@pytest.mark.usefixtures("without_bucket")
async def test_without_the_bucket_each_worker_knows_for_itself(make: Make) -> None:
    """It closes, probes and opens again, and tells workers that hear it; a later worker knows nothing."""
    gate, other = await make(), await make()
    assert await overdue(gate)
    await until(partial(is_shut, other))
    later = await make()
    assert not await later.enter(*HERE)

    async def hears_of_the_probe() -> bool:
        closure = breaker(other).closure
        return closure is not None and closure.probing

    assert await gate.enter(*HERE)
    await until(hears_of_the_probe)
    for each in (gate, other):
        with pytest.raises(ExchangeClosed):
            await each.enter(*HERE)
    await gate.change(*HERE, lambda before, now: probed(before, Heard.ANSWERS, now, LATER, None))
    assert not await gate.enter(*HERE)
    await until(lambda: _not(is_shut(other)))

    assert await overdue(other)
    assert await other.enter(*HERE)


async def test_prices_are_a_probe_only_long_after_one_was_due(make: Make) -> None:
    """So accounts, of which they say little, are tried first."""
    gate = await make()
    await shut(gate)

    with pytest.raises(ExchangeClosed):
        await gate.enter(*HERE, late=600.0)
    now = await gate.now()
    await gate.change(*HERE, lambda _before, _now: Closure("unavailable", now - 700, now - 650))
    assert await gate.enter(*HERE, late=600.0)


class Told:
    """A connector whose tries end as they are told, and which counts the reads of the status."""

    exchange = OKX

    def __init__(self, read: Callable[[], Awaitable[Reading]]) -> None:
        self.read = read
        self.asked = 0

    async def read_wallets(self, access: Access) -> Reading:
        """End as told."""
        del access
        return await self.read()

    async def read_status(self, region: str, seconds: float) -> Maintenance | None:
        """Tell of a maintenance without an end."""
        del region, seconds
        self.asked += 1
        return Maintenance()

    async def verify(self, access: Access) -> Verified:
        """Refuse; no test verifies."""
        raise NotImplementedError

    async def read_rights(self, access: Access) -> Rights:
        """Refuse; no test verifies."""
        raise NotImplementedError

    async def read_prices(self, request: PricesRequested, seconds: float) -> PricesRead:
        """Refuse; no test reads prices."""
        raise NotImplementedError


def access() -> Access:
    """Return the access of some key."""
    return Access(uuid4(), "okx", "global", "", time.monotonic() + 20.0)


async def unavailable() -> Reading:
    """Fail as a whole."""
    return nothing_read(OKX, failure(Code.EXCHANGE_UNAVAILABLE, exchange_code="50001"))


async def test_a_probe_that_is_cut_off_is_one_that_failed(make: Make) -> None:
    """Its try ran out of time, so the exchange was silent; the next probe comes after the interval."""
    gate = await make()
    await overdue(gate)

    async def never() -> Reading:
        return await asyncio.Future()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await Gated(Told(never), gate, lambda: datetime.now(UTC)).read_wallets(access())

    async def failed() -> bool:
        closure = breaker(gate).closure
        return closure is not None and closure.probes == 1 and not closure.probing

    await until(failed)
    with pytest.raises(ExchangeClosed):
        await gate.enter(*HERE)


async def test_many_that_fail_at_once_ask_for_the_status_once(make: Make) -> None:
    """All wait for its answer, which closes the region; each comes back as held back, with its time."""
    gate = await make()
    told = Told(unavailable)
    gated = Gated(told, gate, lambda: datetime.now(UTC))

    readings = await asyncio.gather(*(gated.read_wallets(access()) for _ in range(20)))

    assert told.asked == 1
    assert all(each.held_back for each in readings)
    assert all(each.retry_after == pytest.approx(60.0, abs=5.0) for each in readings)
    assert breaker(gate).closure is not None

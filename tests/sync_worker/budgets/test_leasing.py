"""Workers lease their parts of a budget in a bucket of a real bus, whatever happens to the bucket."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio
from nats.aio.client import Client

from chassis.bus.connection import Bus
from chassis.bus.inspection import nats_clock
from chassis.bus.provision import create_streams
from chassis.clocks import NATS, Clocks
from contracts import subjects
from contracts.budgets import MAX_WORKERS, Lease, Leases
from contracts.exchanges.okx import OKX
from contracts.faults import Code, failure
from contracts.streams import BUDGETS
from contracts.wire.topology import SYNC_WORKER_CONSUMERS
from deploy.local.nats import Nats
from sync_worker.budgets.governor import Governor
from sync_worker.budgets.leasing import Leasing
from sync_worker.budgets.line import Line
from sync_worker.budgets.shares import LEASE_SECONDS
from sync_worker.budgets.tables import tables
from sync_worker.errors import HeldBack
from sync_worker.settings import Ceiling
from sync_worker.timing import Timing
from tests.joining import bus_of, joined
from tests.waiting import until

LIMIT, WINDOW = 40, 2.0
ALL, READ = "address", "account_balance"


class Sharer:
    """One worker's governor and leasing."""

    def __init__(self, bus: Bus, group: str) -> None:
        self.governor = Governor(tables({"okx": Ceiling(LIMIT, WINDOW)}), lambda: bus.connected)
        self.clocks = Clocks()
        timing = Timing(self.clocks, nats_clock(bus, SYNC_WORKER_CONSUMERS[0]))
        self.leasing = Leasing(bus, self.governor, group, timing.server_time)
        self.leasing.declare()

    @property
    def line(self) -> Line:
        """Return its line of OKX."""
        return self.governor.lines["okx"]

    @property
    def limit(self) -> int:
        """Return its part of the budget for all calls; 0 without a lease."""
        part = self.line.slices[ALL]
        return (part.limit or 0) if part.valid_until > self.governor.clock() else 0

    async def renew(self) -> bool:
        """Renew its lease once."""
        return await self.leasing.renew(self.line)


Share = Callable[[], Awaitable[Sharer]]


@pytest_asyncio.fixture(name="admin")
async def _admin(bus_server: Nats) -> AsyncIterator[Client]:
    async with await joined(bus_server, "admin") as client:
        yield client


@pytest_asyncio.fixture(name="group")
async def _group(admin: Client) -> str:
    """Return an egress group of its own, whose workers of before have ended."""
    group = uuid4().hex
    body = msgspec.json.encode(Leases(settled=1.0))
    await admin.jetstream().publish(subjects.budgets(group, "okx"), body)
    return group


@pytest_asyncio.fixture(name="share")
async def _share(bus_server: Nats, group: str) -> AsyncIterator[Share]:
    """Yield a function that makes a worker with a connection of its own."""
    async with AsyncExitStack() as stack:

        async def share() -> Sharer:
            bus = bus_of(bus_server, "sync-worker", "worker")
            sharer = Sharer(bus, group)
            await bus.start()
            stack.push_async_callback(bus.stop)
            return sharer

        yield share


async def stored(admin: Client, group: str) -> Leases:
    """Return the leases in the bucket."""
    message = await admin.jetstream().get_last_msg(BUDGETS, subjects.budgets(group, "okx"))
    return msgspec.json.decode(message.data or b"", type=Leases)


def hungry(*sharers: Sharer) -> None:
    """Let calls wait at each worker."""
    for sharer in sharers:
        sharer.line.slices[ALL].join(LIMIT, sharer.governor.clock())


async def test_workers_divide_a_budget_by_the_work_that_waits(
    share: Share, admin: Client, group: str
) -> None:
    """The bucket names each with its part; a worker that gets work gets a part of the others' places."""
    first, second = await share(), await share()
    hungry(first)
    for _ in range(3):
        assert await first.renew()
        assert await second.renew()

    assert (first.limit, second.limit) == (LIMIT - LIMIT // 8, LIMIT // 8)
    hungry(second)
    for _ in range(3):
        await asyncio.gather(first.renew(), second.renew())
    assert (first.limit, second.limit) == (LIMIT // 2, LIMIT // 2)
    assert len((await stored(admin, group)).workers) == 2


async def test_eight_workers_that_write_at_once_have_no_more_than_there_is(share: Share) -> None:
    """Compare and set lets one write at a time, and the others read again."""
    sharers = [await share() for _ in range(8)]
    hungry(*sharers)
    for _ in range(4):
        await asyncio.gather(*(each.renew() for each in sharers))
        assert sum(each.limit for each in sharers) <= LIMIT

    assert sum(each.limit for each in sharers) == LIMIT


async def test_a_refusal_pauses_all_workers_at_once(share: Share, admin: Client, group: str) -> None:
    """One hears it from the exchange, the other from the first; the bucket keeps it for those that come."""
    first, second = await share(), await share()
    hungry(first, second)
    for _ in range(3):
        await first.renew()
        await second.renew()

    with pytest.raises(type(failure(Code.RATE_LIMITED))):
        async with first.governor.call("okx", READ, 10.0):
            raise failure(Code.RATE_LIMITED, retry_after=20.0)

    async def paused() -> bool:
        now = second.governor.clock()
        return second.line.slices[ALL].paused_until - now > 19

    await until(paused)
    with pytest.raises(HeldBack):
        async with second.governor.call("okx", READ, 10.0):
            pytest.fail("a call was sent during a ban")
    await first.renew()
    shrunk = (await stored(admin, group)).shrunk[ALL]
    assert shrunk.most == LIMIT // 2
    await second.renew()
    third = await share()
    await third.renew()
    assert first.limit + second.limit + third.limit <= LIMIT // 2
    assert third.line.slices[ALL].paused_until > third.governor.clock() + 15


async def test_a_worker_too_many_gets_nothing_and_holds_no_other_back(
    share: Share, admin: Client, group: str
) -> None:
    """It has no lease to miss, so it does not take the bucket for lost each time."""
    full = Leases({f"w{number}": Lease(time.time() + 60.0) for number in range(MAX_WORKERS)}, settled=1.0)
    await admin.jetstream().publish(subjects.budgets(group, "okx"), msgspec.json.encode(full))
    sharer = await share()

    for _ in range(2):
        await sharer.renew()

    assert sharer.limit == 0
    now = await stored(admin, group)
    assert (now.settled, len(now.workers)) == (1.0, MAX_WORKERS)


async def test_a_worker_that_read_the_clock_before_it_was_set_reads_it_again(
    share: Share, admin: Client, group: str
) -> None:
    """The leases of the others are later than its own clock allows: it neither cuts nor outlives them."""
    first, second = await share(), await share()
    await first.renew()
    second.clocks.note(NATS, time.time() - 3600.0, time.monotonic())

    await second.renew()

    ends = [lease.ends for lease in (await stored(admin, group)).workers.values()]
    assert len(ends) == 2
    assert max(ends) - min(ends) < LEASE_SECONDS


async def test_an_emptied_bucket_gives_no_worker_more(share: Share, admin: Client, group: str) -> None:
    """The first that writes again does not know the parts of the others, and keeps its own."""
    first, second = await share(), await share()
    hungry(first, second)
    for _ in range(4):
        await first.renew()
        await second.renew()
    assert (first.limit, second.limit) == (20, 20)

    await admin.jetstream().purge_stream(BUDGETS, subject=subjects.budgets(group, "okx"))
    for _ in range(3):
        assert await first.renew()
        assert first.limit == 20
    assert await second.renew()
    assert second.limit == 20
    assert (await stored(admin, group)).settled > 0


async def test_a_bus_without_the_bucket_lets_a_worker_use_a_small_part(share: Share, admin: Client) -> None:
    """A worker that starts before provisioning syncs slowly, and leases its part once the bucket is there."""
    await admin.jetstream().delete_stream(BUDGETS)
    try:
        sharer = await share()
        hungry(sharer)
        assert await sharer.renew()
        assert sharer.limit == LIMIT // 8
    finally:
        await create_streams(admin.jetstream())

    for _ in range(3):
        await sharer.renew()
    assert sharer.limit >= LIMIT // 8


async def test_while_the_bus_is_away_nothing_is_leased(share: Share) -> None:
    """The worker keeps what it has until the end of its lease, and begins at half of it when it is back."""
    sharer = await share()
    hungry(sharer)
    for _ in range(3):
        await sharer.renew()
    held = sharer.limit
    bus = sharer.leasing._bus
    transport = bus.client._transport
    assert transport is not None
    transport.close()  # type: ignore[no-untyped-call]

    async def is_away() -> bool:
        return not bus.connected

    await until(is_away)
    assert not await sharer.renew()
    assert sharer.limit == held
    await until(bus.ready)
    assert await sharer.renew()
    assert sharer.limit == held // 2
    await sharer.renew()
    assert sharer.limit == held


async def test_without_the_bus_only_signed_calls_begin() -> None:
    """A worker finishes what is signed, and starts nothing."""
    governor = Governor(tables({}), lambda: False)
    assert OKX.key in governor.lines

    async with governor.call("okx", READ, 10.0):
        pass
    with pytest.raises(HeldBack):
        async with governor.call("okx", "public_time", 10.0):
            pytest.fail("an unsigned call was sent")

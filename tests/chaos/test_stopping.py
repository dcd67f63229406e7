"""A worker that is told to stop: it ends what it began, and what it did not begin is another's at once."""

import asyncio
import time
from signal import SIGCONT, SIGTERM

from nats.aio.client import Client

from tests.chaos.parts import World
from tests.chaos.test_outages import over, requested
from tests.conformance.simulated import Admin
from tests.conformance.table import BALANCE
from tests.system.person import Person
from tests.waiting import passed, until

# What nobody has begun needs not wait for this.
ACK_WAIT_SECONDS = 30.0


async def pending(bus: Client) -> int:
    """Count the requests that are handed over and not settled."""
    return (await bus.jetstream().consumer_info("SYNC_REQUESTS", "sync-worker-okx")).num_ack_pending or 0


async def test_what_was_begun_is_ended(world: World, person: Person, bus: Client) -> None:
    """SIGTERM in the middle of three syncs: their outcomes are published before the process ends (B10)."""
    paths = [f"/accounts/{(await person.connect(f'account-{n}'))['id']}" for n in range(2, 5)]
    exchange, worker = world.exchange.process, world.services["sync-worker"]
    async with world.exchange.held():
        syncs = [await requested(person, path) for path in paths]

        async def all_begun() -> bool:
            return await pending(bus) == len(paths)

        await until(all_begun)
        stopping = asyncio.create_task(worker.end(SIGTERM))
        await until(passed(1.0))
        exchange.send_signal(SIGCONT)
        await stopping

    assert await pending(bus) == 0
    for sync_id in syncs:
        await until(over(world, sync_id))
        assert (await person.get(f"/syncs/{sync_id}"))["success"] is True
    await worker.start()


async def test_a_call_that_hangs_does_not_hold_a_request(
    world: World, person: Person, admin: Admin, bus: Client
) -> None:
    """A worker that stops while the exchange hangs gives the request back before it ends (B10)."""
    path = f"/accounts/{(await person.connect('account-5'))['id']}"
    worker = world.services["sync-worker"]
    await admin.put("account-5", BALANCE, {"fault": "hang", "times": 1})
    sync_id = await requested(person, path)

    async def struck() -> bool:
        return await admin.struck("account-5", BALANCE) == 1

    await until(struck)
    began = time.monotonic()
    await worker.end(SIGTERM)
    await worker.start()

    await until(over(world, sync_id))
    assert time.monotonic() - began < ACK_WAIT_SECONDS
    assert (await person.get(f"/syncs/{sync_id}"))["success"] is True
    await admin.clear("account-5", BALANCE)


async def test_what_was_not_begun_is_another_s_at_once(world: World, person: Person, bus: Client) -> None:
    """A request that arrives while a worker stops, or lies there unread, waits for no ack wait (B9)."""
    path = f"/accounts/{(await person.connect('account-6'))['id']}"
    worker = world.services["sync-worker"]
    began = time.monotonic()
    async with worker.held():
        sync_id = await requested(person, path)

        async def handed_over() -> bool:
            return await pending(bus) == 1

        await until(handed_over)
        await worker.end(SIGTERM)
    await worker.start()

    await until(over(world, sync_id))
    assert time.monotonic() - began < ACK_WAIT_SECONDS
    assert (await person.get(f"/syncs/{sync_id}"))["success"] is True

"""A worker in shutdown finishes its begun syncs, and returns the others to the queue at once."""

import asyncio
import time
from signal import SIGCONT, SIGTERM

from nats.aio.client import Client

from contracts.wire.key_files import load_signing_key
from deploy.simulator.okx.accounts import load_accounts
from sync_worker.handlers import SYNCS_AT_ONCE
from tests.chaos.parts import World
from tests.chaos.test_outages import over, requested
from tests.conformance.simulated import Admin
from tests.conformance.table import BALANCE
from tests.joining import bus_of
from tests.pinning import pinned_in
from tests.sync_worker.system import Gateway
from tests.system.person import Person
from tests.waiting import passed, until

# A returned request must not wait for this.
ACK_WAIT_SECONDS = 30.0
LEFT = 4


async def pending(bus: Client) -> int:
    """Count the requests that are delivered and not settled."""
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
    assert b'"level": "error"' not in worker.log.read_bytes()
    for sync_id in syncs:
        await until(over(world, sync_id))
        assert (await person.get(f"/syncs/{sync_id}"))["success"] is True
    await worker.start()


async def test_a_call_that_hangs_does_not_hold_a_request(
    world: World, person: Person, admin: Admin, bus: Client
) -> None:
    """A worker in shutdown while the exchange hangs returns the request before it ends (B10)."""
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


async def test_what_was_not_begun_stays_in_the_queue(world: World, bus: Client) -> None:
    """A worker takes only as many requests as it handles at once, so that its shutdown drops none (B9)."""
    nats, key = world.parts.nats, (world.directory / "keys" / "grant.pem").read_bytes()
    own = bus_of(nats, "gateway")
    await own.start()
    pinned = pinned_in(world.parts.vault.fingerprints_file)
    gateway = Gateway(own, load_signing_key(key), pinned)
    account = load_accounts(world.directory / "accounts.toml")["account-6"]
    credential_id, worker = await gateway.store(account), world.services["sync-worker"]
    async with world.exchange.held():
        # It gets them all at once: after ten seconds its calls end, and it takes the next ones.
        async with worker.held():
            for _ in range(SYNCS_AT_ONCE + LEFT):
                await gateway.publish(gateway.request(credential_id, seconds=60))

        async def full() -> bool:
            return await pending(bus) == SYNCS_AT_ONCE

        await until(full)
        await worker.end(SIGTERM)

    info = await bus.jetstream().consumer_info("SYNC_REQUESTS", "sync-worker-okx")
    assert info.num_pending == LEFT
    await worker.start()

    async def done() -> bool:
        return bool((await bus.jetstream().stream_info("SYNC_REQUESTS")).state.messages == 0)

    await until(done, 60)
    await own.stop()

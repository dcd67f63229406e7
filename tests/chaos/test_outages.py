"""The bus, vault or database is away: the sync ends once, the caller learns it, no try is used up."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from secrets import token_bytes
from signal import SIGHUP, SIGKILL
from urllib.parse import urlsplit

import nkeys
import psutil
import pytest
import pytest_asyncio
from nats.aio.client import Client

from chassis.bus.provision import create_streams
from deploy.bus_keys import seed as seed_of
from tests.chaos.blackhole import Blackhole
from tests.chaos.parts import READY_SECONDS, World
from tests.conformance.simulated import Admin
from tests.conformance.table import BALANCE
from tests.system.person import Person
from tests.waiting import passed, until

END_SECONDS = 60


def over(world: World, sync_id: str) -> Callable[[], Awaitable[bool]]:
    """Return the condition that a sync has its outcome."""

    async def ended() -> bool:
        query = "select 1 from syncs where id = %s and status <> 'queued'"
        return bool(await world.rows(query, sync_id))

    return ended


async def ends_well(world: World, person: Person, sync_id: str) -> None:
    """Check that a sync ends complete and is recorded once."""
    await until(over(world, sync_id), END_SECONDS)
    assert (await person.get(f"/syncs/{sync_id}"))["success"] is True
    recorded = "select 1 from audit where action = 'sync_recorded' and subject = %s"
    assert len(await world.rows(recorded, sync_id)) == 1


async def requested(person: Person, path: str) -> str:
    """Request a sync and return its id."""
    sync = await person.post(f"{path}/sync", status=202, Prefer="respond-async")
    return str(sync["sync_id"])


@pytest_asyncio.fixture(name="path")
async def _path(person: Person) -> str:
    return f"/accounts/{(await person.connect('account-1'))['id']}"


@pytest.mark.cluster
async def test_a_bus_that_dies_is_waited_for(world: World, person: Person, path: str) -> None:
    """Requests accepted while it was away are published when it is back; services recover by themselves."""
    await world.nats.end(SIGKILL)
    sync_id = await requested(person, path)
    gateway = world.services["gateway"]
    assert "nats" in await gateway.degraded()
    assert await gateway.not_ready() == []  # balances can be read
    assert "nats" in await world.services["sync-worker"].not_ready()
    assert await world.services["vault-broker"].not_ready() == ["nats"]
    await world.restart_nats()

    await until(world.ready, READY_SECONDS)
    await ends_well(world, person, sync_id)


@pytest.mark.parametrize("consumer", ["SYNC_REQUESTS/sync-worker-okx", "SYNC_OUTCOMES/gateway"])
async def test_a_lost_consumer_is_missed_and_taken_up_again(
    world: World, person: Person, path: str, bus: Client, consumer: str
) -> None:
    """Its service reports it, pauses meanwhile, and resumes as soon as it is back (B6)."""
    stream, name = consumer.split("/")
    service = world.services["gateway" if name == "gateway" else "sync-worker"]
    await bus.jetstream().delete_consumer(stream, name)
    sync_id = await requested(person, path)

    async def missed() -> bool:
        named = service.degraded if name == "gateway" else service.not_ready
        return await named() == [consumer]

    await until(missed)
    assert await busy(service.process) < 0.1
    await create_streams(bus.jetstream())

    await until(service.ready, READY_SECONDS)
    await ends_well(world, person, sync_id)


async def busy(process: psutil.Process) -> float:
    """Return the share of a processor that a process uses over three seconds."""
    before, began = sum(process.cpu_times()[:2]), time.monotonic()
    await until(passed(3.0))
    return float(sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began)


async def test_a_bus_that_knows_nobody_for_a_while_is_tried_again(
    world: World, person: Person, path: str, bus: Client
) -> None:
    """Authorization violations while reconnecting end no connection for good (B5)."""
    configuration = world.parts.nats.configuration
    right = configuration.read_text()
    strangers = right
    for name in world.services:
        stranger = nkeys.from_seed(bytearray(nkeys.encode_seed(token_bytes(32), nkeys.PREFIX_BYTE_USER)))
        seed = bytearray(seed_of(world.parts.nats.seed_file(name)).encode())
        strangers = strangers.replace(*(key.public_key.decode() for key in (nkeys.from_seed(seed), stranger)))
    configuration.write_text(strangers)
    world.nats.process.send_signal(SIGHUP)

    async def nobody() -> bool:
        return not any([await service.ready() for service in world.services.values()])

    await until(nobody)
    await until(passed(3.0))  # several tries to reconnect are refused
    sync_id = await requested(person, path)
    configuration.write_text(right)
    world.nats.process.send_signal(SIGHUP)

    await until(world.ready, READY_SECONDS)
    await ends_well(world, person, sync_id)


async def test_a_bus_that_answers_no_more_is_given_up(world: World, person: Person, path: str) -> None:
    """A worker with a dead connection notices in seconds, and is back soon after it heals (B14)."""
    async with Blackhole(urlsplit(world.parts.nats.url).port or 0) as proxy:
        await world.services["sync-worker"].end()
        worker = world.replica("sync-worker", NATS_URL=f"nats://127.0.0.1:{proxy.port}")
        await worker.start()
        await until(worker.ready, READY_SECONDS * 2)
        proxy.shut()

        async def noticed() -> bool:
            return "nats" in await worker.not_ready()

        await until(noticed, 13.0)
        sync_id = await requested(person, path)
        proxy.open()

        await until(worker.ready, READY_SECONDS)
        await ends_well(world, person, sync_id)
        await worker.end()
    await world.services["sync-worker"].start()


async def test_a_sealed_vault_burns_nothing(
    world: World, person: Person, path: str, admin: Admin, bus: Client
) -> None:
    """The outage outlasts four tries; afterwards the exchange still gets all four."""
    await world.vault.root("PUT", "sys/seal")
    sync_id = await requested(person, path)

    async def returned() -> bool:
        info = await bus.jetstream().consumer_info("SYNC_REQUESTS", "sync-worker-okx")
        return bool(info.num_redelivered)

    await until(returned)
    assert await world.services["vault-broker"].not_ready() == ["vault"]
    assert await world.services["sync-worker"].ready()
    await until(passed(20.0))
    await admin.put("account-1", BALANCE, {"fault": "refusal", "code": "50011", "times": 1})
    await world.vault.stop()
    await world.vault.start()

    await until(world.ready, READY_SECONDS)
    await ends_well(world, person, sync_id)
    assert await admin.struck("account-1", BALANCE) == 1
    await admin.clear("account-1", BALANCE)


async def test_a_revoked_token_is_replaced(world: World, person: Person, path: str) -> None:
    """The broker logs in again; the sync is not affected."""
    await world.vault.root("PUT", "sys/leases/revoke-prefix/auth/approle/login")

    sync = await person.post(f"{path}/sync")

    assert (sync["success"], sync["status"]) == (True, "completed")


@pytest.mark.cluster
async def test_a_database_that_dies_is_waited_for(world: World, person: Person, path: str) -> None:
    """Meanwhile callers get Retry-After; an outcome waits on the bus until it can be recorded."""
    async with world.exchange.held():
        sync_id = await requested(person, path)
        await world.postgres.end(SIGKILL)
        problem = await person.post(f"{path}/sync", status=503)
        assert problem["code"] == "database_unavailable"
    assert await world.services["gateway"].not_ready() == ["database"]
    await world.restart_postgres()

    await until(world.ready, READY_SECONDS)
    await ends_well(world, person, sync_id)


@pytest.mark.cluster
async def test_a_caller_is_told_where_the_outcome_will_be(world: World, person: Person, path: str) -> None:
    """A gateway in shutdown ends all waits: 202 and Location, where the outcome appears later."""
    async with world.exchange.held():
        waiting = asyncio.create_task(person.client.post(f"{path}/sync", headers={"Prefer": "wait=60"}))

        async def waits() -> bool:
            return bool(await world.rows("select 1 from syncs where status = 'queued'"))

        await until(waits)
        await world.services["gateway"].end()
        answer = await waiting
        await world.services["gateway"].start()

    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/v1/syncs/{answer.json()['sync_id']}"
    await ends_well(world, person, answer.json()["sync_id"])

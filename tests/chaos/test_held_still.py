"""Suspended processes do not delay others for long: each wait has a limit."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from signal import SIGCONT, SIGSTOP, SIGTERM

import httpx
import psutil
import pytest
import pytest_asyncio
from nats.aio.client import Client

from chassis.bus.provision import create_streams
from deploy.local.postgres import SUPERUSER
from deploy.simulator.okx.accounts import load_accounts
from tests.chaos.parts import READY_SECONDS, Service, World
from tests.chaos.test_outages import ends_well, requested
from tests.system.person import CALL_SECONDS, Person
from tests.waiting import passed, until

# The product's limits, each with a second more for a busy machine.
LOCK_SECONDS = 5.0 + 1.0
ANSWER_SECONDS = 5.0 + 1.0
READINESS_SECONDS = 2.0 + 1.0
END_SECONDS = 10.0 + 1.0


@pytest_asyncio.fixture(name="other")
async def _other(world: World) -> AsyncIterator[Service]:
    """Run a second gateway, which a test may disturb."""
    other = world.replica("gateway")
    await other.start()
    await until(other.ready, 30)
    yield other
    await other.close()


@asynccontextmanager
async def signed_in(person: Person, service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a user's client at another gateway."""
    headers = {"Authorization": person.client.headers["Authorization"]}
    async with httpx.AsyncClient(
        base_url=f"{service.url}/api/v1", headers=headers, timeout=CALL_SECONDS, trust_env=False
    ) as client:
        yield client


@contextmanager
def hanging(process: psutil.Process) -> Iterator[None]:
    """Suspend a process and its children: connections stay open and get no response."""
    processes = [process, *process.children(recursive=True)]
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            each.send_signal(SIGSTOP)
    try:
        yield
    finally:
        for each in processes:
            with suppress(psutil.NoSuchProcess):
                each.send_signal(SIGCONT)


async def timed(request: Awaitable[httpx.Response]) -> tuple[httpx.Response, float]:
    """Return a response and the seconds it took."""
    began = time.monotonic()
    answer = await request
    return answer, time.monotonic() - began


async def seconds_to_end(service: Service) -> float:
    """Tell a service to stop and return the seconds until it has."""
    began = time.monotonic()
    await service.end(SIGTERM)
    return time.monotonic() - began


async def test_a_stopped_gateway_holds_locks_for_five_seconds(
    world: World, person: Person, other: Service
) -> None:
    """Suspended in the transaction of a batch, with the user's account: another gateway serves the user."""
    path = f"/accounts/{(await person.connect('account-60'))['id']}/sync"
    async with signed_in(person, other) as client, await world.parts.database.connect(SUPERUSER) as admin:
        async with admin.transaction():
            await admin.execute("select from accounts for update")
            batch = client.post("/accounts/sync-all", headers={"Prefer": "respond-async"})
            stuck = asyncio.create_task(batch)

            async def waits_for_the_lock() -> bool:
                query = "select 1 from pg_stat_activity where wait_event_type = 'Lock'"
                return bool(await world.rows(query))

            await until(waits_for_the_lock)
            other.process.send_signal(SIGSTOP)
        began = time.monotonic()
        first, seconds = await timed(person.client.post(path))
        assert seconds < ANSWER_SECONDS
        assert first.status_code == 200 or (first.status_code == 503 and first.headers["Retry-After"])

        async def served() -> bool:
            return (await person.client.post(path)).status_code == 200

        await until(served)
        assert time.monotonic() - began < LOCK_SECONDS
        other.process.send_signal(SIGCONT)
        assert (await stuck).status_code in {202, 503}


async def test_a_database_that_hangs_is_said_in_time(world: World, person: Person) -> None:
    """Forty requests at once get Retry-After within five seconds; readiness responds within two."""
    path = f"/accounts/{(await person.connect('account-62'))['id']}"
    with hanging(world.postgres.process):
        answers = asyncio.gather(*(timed(person.client.get(f"{path}/balances")) for _ in range(40)))
        async with httpx.AsyncClient(timeout=CALL_SECONDS, trust_env=False) as client:
            for _ in range(3):
                ready, seconds = await timed(client.get(f"{world.services['gateway'].operations}/readyz"))
                assert seconds < READINESS_SECONDS
                assert (ready.status_code, "database" in ready.text) == (503, True)
        for answer, seconds in await answers:
            assert seconds < ANSWER_SECONDS
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
            assert answer.headers["Retry-After"]

    async def served() -> bool:
        return (await person.client.get(f"{path}/balances")).is_success

    await until(served, READY_SECONDS)


@pytest.mark.cluster
async def test_a_bus_that_hangs_does_not_hold_readiness(world: World, person: Person) -> None:
    """Each check has its own timeout, and all run concurrently."""
    async with world.nats.held(), httpx.AsyncClient(timeout=CALL_SECONDS, trust_env=False) as client:
        for service in ("gateway", "sync-worker"):
            _, seconds = await timed(client.get(f"{world.services[service].operations}/readyz"))
            assert seconds < READINESS_SECONDS


async def test_a_gateway_ends_in_time_though_its_database_hangs(
    world: World, person: Person, other: Service
) -> None:
    """Terminated with requests in flight: all get a response, and it ends within ten seconds."""
    path = f"/accounts/{(await person.connect('account-63'))['id']}"
    async with signed_in(person, other) as client, world.exchange.held():
        waiting = asyncio.create_task(client.post(f"{path}/sync", headers={"Prefer": "wait=60"}))

        async def accepted() -> bool:
            return bool(await world.rows("select 1 from syncs where status = 'queued'"))

        await until(accepted)
        with hanging(world.postgres.process):
            reads = [asyncio.create_task(client.get(f"{path}/balances")) for _ in range(20)]
            await until(passed(1.0))
            assert await seconds_to_end(other) < END_SECONDS
            assert {(await read).status_code for read in reads} == {503}
            assert (await waiting).status_code in {202, 503}
    (sync_id,) = (await world.rows("select id::text from syncs order by number desc limit 1"))[0]
    await ends_well(world, person, str(sync_id))


async def test_a_request_in_flight_is_ended_with_an_answer(
    world: World, person: Person, other: Service
) -> None:
    """Connecting an account while the worker is suspended: the client gets a problem, no row stays."""
    async with signed_in(person, other) as client:
        second = Person(client, load_accounts(world.directory / "accounts.toml"))
        async with world.services["sync-worker"].held():
            connecting = asyncio.create_task(second.connect("account-64", status=503))

            async def stored() -> bool:
                return bool(await world.rows("select 1 from audit where action = 'credential_submitted'"))

            await until(stored)
            await until(passed(1.0))
            assert await seconds_to_end(other) < END_SECONDS
        assert (await connecting)["code"] == "shutting_down"

    async def destroyed() -> bool:
        return await world.rows("select 1 from credentials where state <> 'live'") == []

    await until(destroyed, 40)


async def test_a_gateway_ends_in_time_though_its_bus_hangs(world: World, other: Service) -> None:
    """The gateway does not wait for a silent bus."""
    async with world.nats.held():
        assert await seconds_to_end(other) < END_SECONDS


@pytest.mark.cluster
async def test_a_missing_stream_of_events_slows_no_sync(world: World, person: Person, bus: Client) -> None:
    """Syncs are published once and recorded though sixty older events are stuck; these are sent later."""
    path = f"/accounts/{(await person.connect('account-65'))['id']}"
    await bus.jetstream().delete_stream("ACCOUNT_EVENTS")
    await world.rows(
        """insert into outbox (message_id, subject, stream, headers, body)
           select gen_random_uuid()::text, 'butler.account.synced.' || gen_random_uuid(), 'ACCOUNT_EVENTS',
                  '{}', '{}' from generate_series(1, 60)"""
    )
    for _ in range(5):
        answer, seconds = await timed(person.client.post(f"{path}/sync"))
        assert (answer.status_code, seconds < ANSWER_SECONDS) == (200, True)
    user = (await person.get("/me"))["id"]
    assert await world.rows("select max(publications) from syncs where user_id = %s", user) == [(1,)]
    await create_streams(bus.jetstream())

    async def told() -> bool:
        return await world.rows("select 1 from outbox") == []

    await until(told, 30)
    assert (await bus.jetstream().stream_info("ACCOUNT_EVENTS")).state.messages == 65
    await ends_well(world, person, await requested(person, path))

"""Each kind of fault moves a metric within thirty seconds, without a readiness request."""

from collections.abc import Awaitable, Callable
from signal import SIGKILL

import pytest
from nats.aio.client import Client

from chassis.bus.provision import create_streams
from contracts import subjects
from tests.chaos.parts import Service, World
from tests.chaos.test_outages import ends_well, requested
from tests.system.person import Person
from tests.waiting import until

WITHIN_SECONDS = 30.0
REQUESTS = '{consumer="SYNC_REQUESTS/sync-worker-okx"}'


def above(service: Service, sample: str, limit: float = 0.0) -> Callable[[], Awaitable[bool]]:
    """Return the condition that a metric of a service is above a limit."""

    async def moved() -> bool:
        return await service.metric(sample) > limit

    return moved


@pytest.mark.cluster
async def test_a_lost_database(world: World) -> None:
    """The gateway's check `database` fails."""
    gateway = world.services["gateway"]
    await until(above(gateway, 'butler_ready{part="database"}'), WITHIN_SECONDS)
    await world.postgres.end(SIGKILL)

    async def told() -> bool:
        return await gateway.metric('butler_ready{part="database"}') == 0

    await until(told, WITHIN_SECONDS)
    await world.restart_postgres()


async def test_a_stream_that_takes_nothing(world: World, person: Person, bus: Client) -> None:
    """The stream is missing, full or refuses: publishing fails, and its rows in the outbox grow old."""
    gateway = world.services["gateway"]
    account = await person.connect("account-50")
    await bus.jetstream().delete_stream("ACCOUNT_EVENTS")
    await person.post(f"/accounts/{account['id']}/sync")

    await until(above(gateway, 'butler_outbox_oldest_seconds{stream="ACCOUNT_EVENTS"}'), WITHIN_SECONDS)
    assert await gateway.metric('butler_publish_failures_total{stream="ACCOUNT_EVENTS"}') > 0
    await create_streams(bus.jetstream())

    async def published() -> bool:
        return await world.rows("select 1 from outbox") == []

    await until(published, WITHIN_SECONDS)


async def test_a_stream_that_takes_no_outcomes(world: World, person: Person, bus: Client) -> None:
    """The worker counts the unconfirmed outcomes."""
    account = await person.connect("account-51")
    await bus.jetstream().delete_stream("SYNC_OUTCOMES")
    sync_id = await requested(person, f"/accounts/{account['id']}")

    failures = above(world.services["sync-worker"], 'butler_publish_failures_total{stream="SYNC_OUTCOMES"}')
    await until(failures, WITHIN_SECONDS)
    await create_streams(bus.jetstream())
    await ends_well(world, person, sync_id)


async def test_a_consumer_that_stands_still(world: World, person: Person) -> None:
    """No worker settles requests: the gateway shows their number, their wait, and the age of a sync."""
    gateway = world.services["gateway"]
    account = await person.connect("account-52")
    async with world.services["sync-worker"].held():
        sync_id = await requested(person, f"/accounts/{account['id']}")

        await until(above(gateway, f"butler_consumer_standing_seconds{REQUESTS}"), WITHIN_SECONDS)
        waiting = ("pending", "unacknowledged")
        assert sum([await gateway.metric(f"butler_consumer_{kind}{REQUESTS}") for kind in waiting]) >= 1
        await until(above(gateway, "butler_sync_queued_oldest_seconds"), WITHIN_SECONDS)
    await ends_well(world, person, sync_id)


async def test_poison(world: World, bus: Client) -> None:
    """The gateway counts the dead letters."""
    gateway, letters = world.services["gateway"], "butler_dead_letters"
    await until(above(gateway, letters, -1), WITHIN_SECONDS)
    before = await gateway.metric(letters)
    await bus.jetstream().publish(subjects.sync_failed("okx"), b"garbage")

    await until(above(gateway, letters, before), WITHIN_SECONDS)

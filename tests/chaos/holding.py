"""Holds processes, or lets streams refuse, so that a group of syncs stays at a step."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from signal import SIGKILL

from nats.aio.client import Client

from tests.chaos.groups import CONSUMERS, OUTCOMES, REQUESTS, Group, unacknowledged
from tests.chaos.parts import World
from tests.waiting import until

OF_EACH = 3
SIZE = 9


def of_each(service: str) -> list[str]:
    """Return the names of the processes of a service."""
    return [service, *(f"{service}-{number}" for number in range(1, OF_EACH))]


def are(waiting: Callable[[], Awaitable[list[int]]], number: int) -> Callable[[], Awaitable[bool]]:
    """Return the condition that so many transactions wait."""

    async def there() -> bool:
        return len(await waiting()) == number

    return there


@asynccontextmanager
async def suspended(world: World, names: list[str]) -> AsyncIterator[None]:
    """Suspend processes."""
    async with AsyncExitStack() as stack:
        for name in names:
            await stack.enter_async_context(world.services[name].held())
        yield


async def pulled(bus: Client, stream: str, number: int) -> None:
    """Wait until so many messages of a stream are delivered and not acknowledged."""

    async def there() -> bool:
        return await unacknowledged(bus, stream) == number

    await until(there)


async def none_asks(bus: Client, stream: str) -> None:
    """Wait until the server has forgotten the fetches of suspended processes."""

    async def there() -> bool:
        return not (await bus.jetstream().consumer_info(stream, CONSUMERS[stream])).num_waiting

    await until(there)


@asynccontextmanager
async def outcomes_come(world: World, bus: Client, group: Group) -> AsyncIterator[None]:
    """Let the first gateway alone get all outcomes of the group; the others go on at the end."""
    first, *others = of_each("gateway")
    async with AsyncExitStack() as still, AsyncExitStack() as first_still:
        async with world.exchange.held():
            await group.request(group.accounts)
            await pulled(bus, REQUESTS, SIZE)
            await group.counts("outbox", 0)
            await still.enter_async_context(suspended(world, others))
            await first_still.enter_async_context(suspended(world, [first]))
            await none_asks(bus, OUTCOMES)
        await group.come(OUTCOMES, SIZE)
        await first_still.aclose()
        yield


async def pulled_by_one_worker(world: World, bus: Client, group: Group) -> None:
    """Request the group, and let the first worker pull all of it; the others go on afterwards."""
    first, *others = of_each("sync-worker")
    async with suspended(world, others):
        async with suspended(world, [first]):
            await none_asks(bus, REQUESTS)
        await group.request(group.accounts)
        await pulled(bus, REQUESTS, SIZE)


@asynccontextmanager
async def refusing(bus: Client, stream: str) -> AsyncIterator[None]:
    """Let a stream refuse every message as too large."""
    config = (await bus.jetstream().stream_info(stream)).config
    await bus.jetstream().update_stream(config.evolve(max_msg_size=1))
    try:
        yield
    finally:
        await bus.jetstream().update_stream(config)


async def dies(world: World, service: str) -> None:
    """Kill the first process of a service, and start it again."""
    await world.services[service].end(SIGKILL)
    await world.services[service].start()

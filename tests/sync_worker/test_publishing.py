"""A request is acknowledged only after the stream confirmed its outcome; there is no sweeper here."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from nats.aio.client import Client

from chassis.bus.provision import create_streams
from contracts import subjects
from contracts.syncs import Status, SyncOutcome
from contracts.wire.envelope import decode
from contracts.wire.topology import SYNC_OUTCOMES, SYNC_REQUESTS
from deploy.local.nats import Nats
from deploy.simulator.okx.accounts import Accounts
from tests.joining import joined
from tests.sync_worker.system import Gateway, Worker
from tests.waiting import until

# The worker's timeout is 13 s, and the request is redelivered 10 s later.
SECONDS = 60.0
REQUESTS, OUTCOMES = str(SYNC_REQUESTS.name), str(SYNC_OUTCOMES.name)
Spoil = Callable[[Client], Awaitable[object]]


async def refuse(admin: Client) -> None:
    """Let the stream refuse each outcome as too large."""
    await admin.jetstream().update_stream(SYNC_OUTCOMES.evolve(max_msg_size=1))


async def vanish(admin: Client) -> None:
    """Delete the stream: subscribers receive each outcome, and no stream confirms it."""
    await admin.jetstream().delete_stream(OUTCOMES)


@pytest_asyncio.fixture(name="admin")
async def _admin(bus_server: Nats) -> AsyncIterator[Client]:
    """Yield the administrator's connection, and restore the streams after the test."""
    async with await joined(bus_server, "admin") as client:
        yield client
        await create_streams(client.jetstream())


@pytest.mark.parametrize("spoil", [refuse, vanish], ids=lambda spoil: spoil.__name__)
async def test_an_outcome_that_no_stream_confirmed_is_published_later(
    worker: Worker, gateway: Gateway, accounts: Accounts, admin: Client, spoil: Spoil
) -> None:
    """The request is redelivered, and the outcome is published once the stream accepts it."""
    jetstream = admin.jetstream()
    request = gateway.request(await gateway.store(accounts["plain"]), seconds=120.0)
    await jetstream.purge_stream(REQUESTS)
    await jetstream.purge_stream(OUTCOMES)
    await spoil(admin)
    await gateway.publish(request)

    async def came_again_or_is_lost() -> bool:
        info = await jetstream.consumer_info(REQUESTS, "sync-worker-okx")
        held = (await jetstream.stream_info(REQUESTS)).state.messages
        return bool(info.num_redelivered) or held == 0

    await until(came_again_or_is_lost, SECONDS)
    assert (await jetstream.stream_info(REQUESTS)).state.messages == 1, "the request was acknowledged"
    await create_streams(jetstream)

    async def published() -> bool:
        return bool((await jetstream.stream_info(OUTCOMES)).state.messages)

    await until(published, SECONDS)
    message = await jetstream.get_last_msg(OUTCOMES, subjects.sync_completed("okx"))
    outcome: SyncOutcome = decode(message.data or b"", SyncOutcome)
    assert (outcome.sync_id, outcome.status, outcome.attempt) == (request.sync_id, Status.COMPLETED, 2)

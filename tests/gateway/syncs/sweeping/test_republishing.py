"""A request is published again only after the bus has lost it."""

from collections.abc import Awaitable, Callable

import pytest
from nats.js import JetStreamContext

from chassis.bus.provision import create_streams
from gateway.store import publications
from gateway.store.pool import database_time
from gateway.syncs.progress import Progress
from tests.gateway.syncs.sweeping.conftest import Sweeping
from tests.waiting import until

WORKER = "sync-worker-okx"


async def test_a_backlog_is_not_doubled(sweeping: Sweeping) -> None:
    """Requests that wait for a slow worker, or that it has begun, are published once."""
    await sweeping.published(20)
    await sweeping.delivered("SYNC_REQUESTS", WORKER, 5)

    sweeper = sweeping.sweeper()
    for _ in range(3):
        await sweeper.sweep()

    await until(sweeping.relayed)
    assert await sweeping.publications() == [1] * 20
    assert await sweeping.state("SYNC_REQUESTS") == (20, 20)


async def purge(jetstream: JetStreamContext) -> None:
    """Delete all messages of the stream, as its age limit does."""
    await jetstream.purge_stream("SYNC_REQUESTS")


async def make_anew(jetstream: JetStreamContext) -> None:
    """Recreate the stream, with new sequence numbers."""
    await jetstream.delete_stream("SYNC_REQUESTS")
    await create_streams(jetstream)


async def make_anew_and_fill(jetstream: JetStreamContext) -> None:
    """Recreate the stream and use up the sequence numbers of the lost requests."""
    await make_anew(jetstream)
    for _ in range(7):
        await jetstream.publish("butler.sync.requested.okx", b"{}")


@pytest.mark.parametrize("lose", [purge, make_anew, make_anew_and_fill])
async def test_what_the_stream_lost_is_published_again(
    sweeping: Sweeping, lose: Callable[[JetStreamContext], Awaitable[None]]
) -> None:
    """It has a new message id, so that the stream does not drop it as a duplicate of the lost one."""
    await sweeping.published(3)
    await lose(sweeping.admin.jetstream())
    before, _ = await sweeping.state("SYNC_REQUESTS")

    sweeper = sweeping.sweeper()
    await sweeper.sweep()
    await until(sweeping.relayed)

    assert await sweeping.publications() == [2] * 3
    messages, last_seq = await sweeping.state("SYNC_REQUESTS")
    assert messages == before + 3
    stored = [await sweeping.admin.jetstream().get_msg("SYNC_REQUESTS", last_seq - n) for n in range(3)]
    ids = {str((message.headers or {})["Nats-Msg-Id"]) for message in stored}
    opened = await sweeping.rows("select id from syncs")
    assert ids == {f"{sync_id}:2" for (sync_id,) in opened}


async def test_what_waits_in_the_outbox_is_not_written_again(sweeping: Sweeping) -> None:
    """While the stream is away requests wait in the outbox, and are published once when it returns."""
    await sweeping.admin.jetstream().delete_stream("SYNC_REQUESTS")
    await sweeping.requested(3)
    await until(sweeping.silent)
    sweeper = sweeping.sweeper()

    await sweeper.sweep()
    await create_streams(sweeping.admin.jetstream())
    await sweeper.sweep()
    await until(sweeping.relayed)
    await sweeper.sweep()
    await until(sweeping.relayed)

    assert await sweeping.publications() == [1] * 3
    assert await sweeping.state("SYNC_REQUESTS") == (3, 3)


async def test_what_a_worker_acknowledged_without_an_outcome_is_published_again(sweeping: Sweeping) -> None:
    """A request behind the ack floor is not delivered any more, whatever else the stream still holds."""
    await sweeping.admin.jetstream().publish("butler.sync.requested.another", b"{}")
    await sweeping.published(2)
    for message in await sweeping.delivered("SYNC_REQUESTS", WORKER, 2):
        await message.ack_sync()

    await sweeping.sweeper().sweep()

    assert await sweeping.publications() == [2, 2]


async def test_what_was_done_but_is_not_recorded_yet_is_not_done_again(sweeping: Sweeping) -> None:
    """Before three quarters of the deadline a request is not lost while outcomes wait to be recorded."""
    await sweeping.published()
    await sweeping.admin.jetstream().publish("butler.sync.completed.okx", b"{}")
    for message in await sweeping.delivered("SYNC_REQUESTS", WORKER, 1):
        await message.ack_sync()
    sweeper = sweeping.sweeper(deadline=400)

    await sweeping.rows("update syncs set published_at = published_at - interval '210 seconds'")
    await sweeper.sweep()
    assert await sweeping.publications() == [1]
    await sweeping.rows("update syncs set published_at = published_at - interval '100 seconds'")
    await sweeper.sweep()
    assert await sweeping.publications() == [2]


async def test_a_new_consumer_does_not_double_a_backlog_at_once(sweeping: Sweeping) -> None:
    """It delivers the stream's messages: those older than the consumer are only probably lost."""
    await sweeping.published(4)
    jetstream = sweeping.admin.jetstream()
    await jetstream.delete_consumer("SYNC_REQUESTS", WORKER)
    await create_streams(jetstream)
    progress = Progress(sweeping.bus)

    async with sweeping.pool.transaction() as connection:
        now = await database_time(connection)
        await progress.look(now)
        assert progress.handled is not None
        queue = progress.handled.queues["okx"]
        assert queue is not None
        assert await publications.take_lost(connection, "okx", queue.surely, now, 10) == []
        assert len(await publications.take_lost(connection, "okx", queue.probably, now, 10)) == 4

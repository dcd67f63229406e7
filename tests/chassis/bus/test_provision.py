"""Provisioning creates missing items, updates existing ones, and moves no consumer's position."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy, RetentionPolicy, StreamConfig

from chassis.bus.provision import create_streams, create_subscribers, provision
from contracts import subjects
from contracts.wire.subscribers import Subscriber
from contracts.wire.topology import (
    ACCOUNT_EVENTS,
    ADVISORIES_CONSUMER,
    CONSUMERS,
    OUTCOMES_CONSUMER,
    STREAMS,
    Consumer,
)
from deploy.local.nats import Nats

QUEUES = {stream.name for stream in STREAMS if stream.retention is RetentionPolicy.WORK_QUEUE}
each_consumer = pytest.mark.parametrize(
    "consumer", CONSUMERS, ids=[f"{c.stream}/{c.name}" for c in CONSUMERS]
)


@pytest_asyncio.fixture(name="jetstream")
async def _jetstream(admin: Client) -> AsyncIterator[JetStreamContext]:
    """Yield the administrator's JetStream, and leave every consumer as provisioning makes it."""
    jetstream = admin.jetstream()
    yield jetstream
    for consumer in CONSUMERS:
        await jetstream.delete_consumer(consumer.stream, consumer.name)
    await create_streams(jetstream)


async def made(jetstream: JetStreamContext, consumer: Consumer) -> ConsumerConfig:
    """Return a consumer's configuration as the server has it."""
    config: ConsumerConfig = (await jetstream.consumer_info(consumer.stream, consumer.name)).config
    return config


async def replace(jetstream: JetStreamContext, consumer: Consumer, **changes: Any) -> None:
    """Recreate a consumer as someone else configured it."""
    await jetstream.delete_consumer(consumer.stream, consumer.name)
    await jetstream.add_consumer(consumer.stream, consumer.config(), **changes)


@each_consumer
async def test_an_absent_consumer_starts_an_hour_back(
    jetstream: JetStreamContext, consumer: Consumer
) -> None:
    """On a stream that keeps read messages; a work queue holds only pending ones."""
    await jetstream.delete_consumer(consumer.stream, consumer.name)

    await create_streams(jetstream)

    config = await made(jetstream, consumer)
    if consumer.stream in QUEUES:
        assert (config.deliver_policy, config.opt_start_time) == (DeliverPolicy.ALL, None)
        return
    assert config.deliver_policy == DeliverPolicy.BY_START_TIME
    assert config.opt_start_time is not None
    back = datetime.now(UTC) - config.opt_start_time
    assert timedelta(hours=1) <= back < timedelta(hours=1, minutes=1)


async def test_a_new_consumer_reads_what_came_within_the_hour(jetstream: JetStreamContext) -> None:
    """The new consumer reads the messages that workers sent while there was no consumer."""
    await jetstream.delete_consumer(OUTCOMES_CONSUMER.stream, OUTCOMES_CONSUMER.name)
    await jetstream.publish(subjects.sync_failed("okx"), b"{}")

    await create_streams(jetstream)

    info = await jetstream.consumer_info(OUTCOMES_CONSUMER.stream, OUTCOMES_CONSUMER.name)
    assert info.num_pending == 1


@pytest.mark.parametrize("consumer", [OUTCOMES_CONSUMER, ADVISORIES_CONSUMER], ids=["outcomes", "advisories"])
@pytest.mark.parametrize(
    "start",
    [
        {},  # as the version before made it
        {"deliver_policy": DeliverPolicy.NEW},
        {"deliver_policy": DeliverPolicy.LAST},
        {"deliver_policy": DeliverPolicy.BY_START_SEQUENCE, "opt_start_seq": 3},
        {
            "deliver_policy": DeliverPolicy.BY_START_TIME,
            "opt_start_time": "2026-01-02T03:04:05.123456789Z",
        },
    ],
    ids=["all", "new", "last", "sequence", "time"],
)
async def test_an_existing_consumer_keeps_its_start(
    jetstream: JetStreamContext, consumer: Consumer, start: dict[str, Any]
) -> None:
    """The server refuses another start, and the other settings are updated."""
    await replace(jetstream, consumer, **start, max_ack_pending=7, ack_wait=5)
    before = await made(jetstream, consumer)

    await create_streams(jetstream)

    after, wanted = await made(jetstream, consumer), consumer.config()
    for field in ("deliver_policy", "opt_start_seq", "opt_start_time"):
        assert getattr(after, field) == getattr(before, field)
    assert (after.max_ack_pending, after.ack_wait) == (wanted.max_ack_pending, wanted.ack_wait)


async def test_a_consumer_that_is_updated_forgets_no_acknowledgement(jetstream: JetStreamContext) -> None:
    """A message read before the update is not redelivered after it."""
    await jetstream.publish(subjects.sync_failed("okx"), b"{}")
    reading = await jetstream.pull_subscribe_bind(OUTCOMES_CONSUMER.name, stream=OUTCOMES_CONSUMER.stream)
    (message,) = await reading.fetch(1, timeout=5)
    await message.ack_sync()

    await create_streams(jetstream)

    info = await jetstream.consumer_info(OUTCOMES_CONSUMER.stream, OUTCOMES_CONSUMER.name)
    assert (info.num_pending, info.num_ack_pending) == (0, 0)


async def test_running_it_again_changes_nothing(jetstream: JetStreamContext) -> None:
    """Streams and consumers are the same after the second run as after the first."""

    async def everything() -> list[StreamConfig | ConsumerConfig]:
        return [
            *[(await jetstream.stream_info(str(stream.name))).config for stream in STREAMS],
            *[await made(jetstream, consumer) for consumer in CONSUMERS],
        ]

    await create_streams(jetstream)
    first = await everything()

    await create_streams(jetstream)

    assert await everything() == first


async def test_several_at_once_do_not_fail(jetstream: JetStreamContext, nats: Nats) -> None:
    """The first to make a consumer sets its start; the others accept it."""
    seed = str(nats.seed_file("admin"))
    for _ in range(5):
        for stream in STREAMS:
            await jetstream.delete_stream(str(stream.name))

        tls = nats.context("admin")
        await asyncio.gather(*(provision(nats.url, seed, tls=tls) for _ in range(4)))

        assert (await made(jetstream, OUTCOMES_CONSUMER)).opt_start_time is not None


NAME = "subscriber-reused"


def subscriber(user_id: UUID | None) -> Subscriber:
    """Return the subscriber of a user, or of all, under the one name."""
    return Subscriber(NAME, f"U{'A' * 55}", user_id)


async def waiting(jetstream: JetStreamContext) -> list[str]:
    """Read the waiting messages of the consumer of that name."""
    reading = await jetstream.pull_subscribe_bind(NAME, stream=str(ACCOUNT_EVENTS.name))
    read: list[str] = []
    with suppress(TimeoutError):
        while True:
            for event in await reading.fetch(16, timeout=1):
                read.append(event.subject)
                await event.ack_sync()
    return read


@pytest.mark.parametrize("taken", [False, True], ids=["new", "handed out"])
@pytest.mark.parametrize("first_hears_all", [False, True])
async def test_the_second_user_of_a_name_does_not_read_the_first_ones_events(
    jetstream: JetStreamContext, *, first_hears_all: bool, taken: bool
) -> None:
    """A consumer whose name now belongs to another user is recreated without its waiting messages."""
    one, other = uuid4(), uuid4()
    await create_subscribers(jetstream, [subscriber(None if first_hears_all else one)])
    for user in (one, other):
        await jetstream.publish(subjects.account_synced(user), b"{}")
    if taken:  # unacknowledged messages would be redelivered
        reading = await jetstream.pull_subscribe_bind(NAME, stream=str(ACCOUNT_EVENTS.name))
        for event in await reading.fetch(2 if first_hears_all else 1, timeout=5):
            await event.nak()

    await create_subscribers(jetstream, [subscriber(other)])

    assert await waiting(jetstream) == [subjects.account_synced(other)]
    await create_subscribers(jetstream, [])


async def test_a_subscriber_that_stays_keeps_its_place(jetstream: JetStreamContext) -> None:
    """The consumer of the same user is not recreated, whichever other settings are updated."""
    user = uuid4()
    await create_subscribers(jetstream, [subscriber(user)])
    await jetstream.publish(subjects.account_synced(user), b"{}")
    assert await waiting(jetstream) == [subjects.account_synced(user)]

    await create_subscribers(jetstream, [subscriber(user)])

    assert await waiting(jetstream) == []
    await create_subscribers(jetstream, [])

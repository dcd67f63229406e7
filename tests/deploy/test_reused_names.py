"""A reused name of a subscriber belongs to the new one only."""

from pathlib import Path
from uuid import uuid4

import pytest

from deploy.local import subscribing
from deploy.local.subscribing import SubscriberFailed
from tests.deploy.test_subscribers import STREAM, added, closed, connected, missed, publish, refuses, running
from tests.waiting import until


async def test_the_second_user_of_a_name_hears_nothing_of_the_first(tmp_path: Path) -> None:
    """Nor does the first, whose connection may be open until the end, receive the second's events."""
    async with running(tmp_path) as bus:
        one, other = uuid4(), uuid4()
        first = await added(tmp_path, one, "reused")
        seed = bus.seed_file(first.name).read_text()
        await publish(bus, one, one)
        async with connected(bus, first.name) as before:
            consumer = await before.jetstream().pull_subscribe_bind(first.name, stream=STREAM)
            await consumer.fetch(1, timeout=5)
            subscribing.revoke(tmp_path, first.name)
            second = subscribing.add(tmp_path, other, "reused")
            await subscribing.take_effect(tmp_path)
            await until(lambda: closed(before))
        assert await refuses(bus, seed)

        told = await publish(bus, one, other)

        async with connected(bus, second.name) as after:
            assert await missed(after, second.name) == told[1:]


async def test_a_name_that_was_revoked_while_the_stack_was_down_is_free_after_a_start(tmp_path: Path) -> None:
    """Until then its consumer exists, and another user could read from it once the server listens."""
    async with running(tmp_path):
        name = (await added(tmp_path, uuid4(), "reused")).name
    subscribing.revoke(tmp_path, name)

    with pytest.raises(SubscriberFailed, match="start the stack first"):
        subscribing.add(tmp_path, uuid4(), "reused")

    async with running(tmp_path):
        assert (await added(tmp_path, uuid4(), "reused")).name == name

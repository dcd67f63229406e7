"""Programs that receive changes of holdings, with amounts, have a right of their own."""

from pathlib import Path
from uuid import uuid4

from contracts import subjects
from contracts.wire.subscribers import PREFIX
from deploy.local import subscribing
from deploy.local.nats import Nats
from tests.deploy.test_subscribers import added, connected, publish, running
from tests.joining import joined
from tests.tapping import taken


async def test_amounts_have_a_right_of_their_own(tmp_path: Path) -> None:
    """Only a subscriber with that right hears of changes of holdings, and of those of its user alone."""
    async with running(tmp_path) as bus:
        await _heard(bus, tmp_path)


async def _heard(bus: Nats, directory: Path) -> None:
    user, other = uuid4(), uuid4()
    plain = await added(directory, user)
    entitled = subscribing.add(directory, user, portfolio=True)
    await subscribing.take_effect(directory)
    async with connected(bus, plain.name) as client, connected(bus, entitled.name) as trusted:
        heard = await trusted.subscribe(entitled.events)
        denied = await client.subscribe(subjects.PORTFOLIO_EVENTS_ALL)
        await taken(trusted)
        async with await joined(bus, "gateway", inbox_prefix=b"_INBOX_gateway") as gateway:
            for each, body in ((other, b"theirs"), (user, b"own")):
                subject = subjects.portfolio_changed(each)
                await gateway.jetstream().publish(subject, body, stream="PORTFOLIO_EVENTS")
        await publish(bus, user)

        assert (await heard.next_msg(timeout=5)).data == b"own"
        consumer = await trusted.jetstream().pull_subscribe_bind(entitled.name, stream="PORTFOLIO_EVENTS")
        assert [each.data for each in await consumer.fetch(16, timeout=1)] == [b"own"]
        assert (heard.pending_msgs, denied.pending_msgs) == (0, 0)
    assert entitled.name == f"{PREFIX}-portfolio-{user}"

"""A reply subject, which the server does not check, leads only into the account of its user."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import RetentionPolicy

from chassis.bus.provision import create_streams, create_subscribers
from contracts import subjects
from contracts.exchanges import EXCHANGES
from contracts.wire.bus_accounts import NOWHERE
from contracts.wire.bus_users import STREAMS_ACCOUNT, SYNC_WORKER, User
from contracts.wire.topology import CONSUMERS, STREAMS, Consumer
from deploy.local.processes import Processes
from tests.chassis.bus.conftest import NewClient, connecting
from tests.chassis.bus.one_account import running_one_account
from tests.chassis.bus.rights import SUBSCRIBED, TRIED, all_subjects, may_publish, one_of
from tests.tapping import MARK, Tap, names, taken
from tests.waiting import until

PULL = msgspec.json.encode({"batch": 1, "no_wait": True})
ACKNOWLEDGED = b"+ACK"
PURGE = b'{"keep":0}'
each_user = pytest.mark.parametrize("user", TRIED, ids=[user.name for user in TRIED])


class State(msgspec.Struct, frozen=True):
    """The targets of an attack: streams with their first sequence numbers, and consumers."""

    streams: dict[str, int]
    consumers: dict[str, set[str]]


async def state(jetstream: JetStreamContext) -> State:
    """Read the state of streams and consumers."""
    streams = {str(info.config.name): info.state.first_seq for info in await jetstream.streams_info()}
    consumers = {name: {each.name for each in await jetstream.consumers_info(name)} for name in streams}
    return State(streams, consumers)


STORED = (
    *map(subjects.sync_requested, EXCHANGES),
    *map(subjects.sync_scheduled, EXCHANGES),
    subjects.sync_failed("okx"),
    *map(subjects.prices_requested, EXCHANGES),
    subjects.prices_requested("ecb"),
    subjects.prices_read("okx"),
    subjects.budgets("kept", "okx"),
    subjects.closures("kept", "okx"),
    *(f"butler.account.synced.{each.user_id}" for each in SUBSCRIBED[1:3]),
    *(f"butler.portfolio.changed.{each.user_id}" for each in SUBSCRIBED[3:]),
    subjects.dead("kept"),
    subjects.TERMINATED_ALL.replace(">", "kept"),
)


# An acknowledged message leaves these, so that their first message changes.
WORK_QUEUES = {each.name for each in STREAMS if each.retention is RetentionPolicy.WORK_QUEUE}


def replies(user: User) -> list[str]:
    """Return every subject of the bus that a user may not publish to."""
    return [subject for subject in all_subjects() if not may_publish(user, subject)]


async def attack(client: Client, user: User, targets: list[str]) -> None:
    """Publish all that a user may, with each of the reply subjects, and with bodies that get replies."""
    for subject in map(one_of, user.publish):
        for target in targets:
            for body in bodies(subject):
                await client.publish(subject, body, reply=target)
    await taken(client)


def bodies(subject: str) -> tuple[bytes, ...]:
    """Return the bodies to which the server replies on a subject."""
    if ".MSG.NEXT." in subject:
        return (PULL,)
    return (ACKNOWLEDGED,) if subject.startswith("$JS.ACK.") else (b"",)


async def acknowledge(client: Client, consumer: Consumer, targets: list[str]) -> None:
    """Acknowledge a message of a consumer for each target: the server replies with an empty body."""
    pulling = await client.jetstream().pull_subscribe_bind(consumer.name, stream=consumer.stream)
    (message,) = await pulling.fetch(1, timeout=5)
    for target in targets:
        await client.publish(message.reply, ACKNOWLEDGED, reply=target)
    await taken(client)


async def reflect(client: Client, user: User) -> None:
    """Reply to any subject, as a careless service does."""

    async def answer(message: Msg) -> None:
        await client.publish(message.reply, b"")

    for subject in user.answers:
        await client.subscribe(subject, user.name, cb=answer)
    await taken(client)


@pytest_asyncio.fixture(name="jetstream")
async def _jetstream(admin: Client) -> AsyncIterator[JetStreamContext]:
    jetstream = admin.jetstream()
    for subject in STORED:
        await jetstream.publish(subject, b"{}")
    yield jetstream
    await create_streams(jetstream)
    await create_subscribers(jetstream, SUBSCRIBED)


def expected(user: User, account: str, subject: str) -> bool:
    """Return whether another account may receive this when a user publishes all that it may.

    It receives published messages, and the streams' account also deliveries and their advisories.
    """
    said = may_publish(user, subject) or subject in {MARK, NOWHERE} or subject.startswith("_R_.")
    told = subject in STORED or (subject.startswith("$JS.EVENT.") and subject not in all_subjects())
    return said or (told and account == STREAMS_ACCOUNT)


@each_user
async def test_a_reply_subject_reaches_nothing_that_its_user_may_not(
    new_client: NewClient, tap: Tap, jetstream: JetStreamContext, user: User
) -> None:
    """No stream is deleted or purged, no consumer is deleted, and no other account receives a reply."""
    before, targets = await state(jetstream), replies(user)
    for other in TRIED:
        if other.answers:
            await reflect((await new_client(other.name))[0], other)
    client, _ = await new_client(user.name)
    already = {account: len(messages) for account, messages in (await tap.all()).items()}

    for consumer in (*CONSUMERS, *(each.consumer for each in SUBSCRIBED)):
        if may_publish(user, f"$JS.API.CONSUMER.MSG.NEXT.{consumer.stream}.{consumer.name}"):
            await acknowledge(client, consumer, targets)
    await attack(client, user, targets)

    heard = await tap.all()
    strange = {
        (account, subject)
        for account, messages in heard.items()
        for subject in names(messages[already[account] :])
        if account != user.account and not expected(user, account, subject)
    }
    assert strange == set()
    after = await state(jetstream)
    assert (after.streams.keys(), after.consumers) == (before.streams.keys(), before.consumers)
    kept = {name: first for name, first in before.streams.items() if name not in WORK_QUEUES}
    assert {name: after.streams[name] for name in kept} == kept


async def test_in_one_account_a_reply_subject_reaches_everything(tmp_path: Path) -> None:
    """The test above detects the attack when all users share one account."""
    async with running_one_account(Processes(tmp_path / "logs"), tmp_path) as bus, connecting(bus) as connect:
        admin, _ = await connect("admin")
        before = await state(admin.jetstream())
        thief, _ = await connect(SYNC_WORKER.name)

        await attack(thief, SYNC_WORKER, [f"$JS.API.STREAM.DELETE.{each.name}" for each in STREAMS])

        assert before.streams.keys() == {each.name for each in STREAMS}

        async def all_deleted() -> bool:
            return (await state(admin.jetstream())).streams == {}

        await until(all_deleted)

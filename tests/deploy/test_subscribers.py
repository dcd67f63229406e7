"""Subscribers receive one user's events or all, read missed ones, and are disconnected when revoked."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.errors import Error
from nats.js.errors import NotFoundError

from contracts import subjects
from contracts.wire.subscribers import MAX_SUBSCRIBERS, PREFIX, Subscriber
from deploy.local import subscribing
from deploy.local.nats import Nats, running_nats
from deploy.local.processes import Processes
from deploy.local.stack import alone
from deploy.local.subscribing import SubscriberFailed
from tests.joining import joined, leave, secured
from tests.tapping import taken
from tests.waiting import until

STREAM = "ACCOUNT_EVENTS"


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[Nats]:
    """Run the bus of a stack."""
    with alone(directory):
        async with running_nats(Processes(directory / "logs"), directory) as bus:
            yield bus


@pytest_asyncio.fixture(name="bus", scope="module")
async def _bus(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nats]:
    async with running(tmp_path_factory.mktemp("subscribers")) as bus:
        yield bus


@pytest.fixture(name="directory")
def _directory(bus: Nats) -> Path:
    return bus.home.parent


@asynccontextmanager
async def connected(bus: Nats, name: str) -> AsyncIterator[Client]:
    """Connect as any program does."""
    async with await joined(bus, name, allow_reconnect=False) as client:
        yield client


async def added(directory: Path, user_id: UUID | None, name: str = "") -> Subscriber:
    """Add a subscriber to a running bus."""
    subscriber = subscribing.add(directory, user_id, name)
    await subscribing.take_effect(directory)
    return subscriber


async def publish(bus: Nats, *users: UUID) -> list[bytes]:
    """Publish a sync of each user, as the gateway does, and return the published events."""
    told = [uuid4().bytes for _ in users]
    async with await joined(bus, "gateway", inbox_prefix=b"_INBOX_gateway") as gateway:
        for user, body in zip(users, told, strict=True):
            await gateway.jetstream().publish(subjects.account_synced(user), body, stream=STREAM)
    return told


async def missed(client: Client, name: str, *, acknowledged: bool = True) -> list[bytes]:
    """Read all waiting messages of a consumer."""
    consumer = await client.jetstream().pull_subscribe_bind(name, stream=STREAM)
    read: list[bytes] = []
    while True:
        try:
            events = await consumer.fetch(16, timeout=1)
        except TimeoutError:
            return read
        for event in events:
            read.append(event.data)
            if acknowledged:
                await event.ack_sync()


async def test_a_subscriber_of_one_user_hears_that_user_alone(bus: Nats, directory: Path) -> None:
    """Live and from its consumer; a subscriber of all receives the others as well."""
    one, other = uuid4(), uuid4()
    subscriber, everybody = await added(directory, one), await added(directory, None, "everybody")
    async with connected(bus, subscriber.name) as client, connected(bus, everybody.name) as operator:
        live = await client.subscribe(subscriber.events)
        every = await operator.subscribe(everybody.events)
        await taken(client, operator)

        told = await publish(bus, other, one)

        assert (await live.next_msg(timeout=5)).data == told[1]
        assert [(await every.next_msg(timeout=5)).data for _ in told] == told
        assert await missed(client, subscriber.name) == told[1:]
        assert (await missed(operator, everybody.name))[-2:] == told
        assert live.pending_msgs == 0


async def test_what_came_while_it_was_away_is_read_once(bus: Nats, directory: Path) -> None:
    """An acknowledged event is not redelivered; an unacknowledged one is."""
    user = uuid4()
    subscriber = await added(directory, user)
    told = await publish(bus, user, user)
    async with connected(bus, subscriber.name) as client:
        assert await missed(client, subscriber.name) == told
    told = await publish(bus, user)
    async with connected(bus, subscriber.name) as client:
        assert await missed(client, subscriber.name, acknowledged=False) == told
        info = await client.jetstream().consumer_info(STREAM, subscriber.name)
        assert (info.num_ack_pending, info.config.filter_subject) == (1, subscriber.events)


async def test_a_subscriber_reaches_no_consumer_but_its_own(bus: Nats, directory: Path) -> None:
    """It may not read, request or acknowledge another's, and makes no consumer."""
    user = uuid4()
    subscriber, other = await added(directory, user), await added(directory, uuid4())
    (told,) = await publish(bus, other.user_id or user)
    async with connected(bus, subscriber.name) as client:
        for name in (other.name, PREFIX):
            for subject in (f"CONSUMER.INFO.{STREAM}.{name}", f"CONSUMER.MSG.NEXT.{STREAM}.{name}"):
                with pytest.raises(TimeoutError):
                    await client.request(f"$JS.API.{subject}", b"", timeout=0.3)
        with pytest.raises(TimeoutError):
            await client.request(f"$JS.API.CONSUMER.CREATE.{STREAM}.spy", b"{}", timeout=0.3)
        # Its own consumer, with a reply subject of another.
        for reply in (other.events.replace("*", "synced"), f"$JS.API.CONSUMER.DELETE.{STREAM}.{other.name}"):
            await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{subscriber.name}", reply=reply)
        await taken(client)
    async with connected(bus, other.name) as client:
        assert await missed(client, other.name) == [told]


async def test_a_revoked_subscriber_is_cut_off(bus: Nats, directory: Path) -> None:
    """Its connection ends, its key and its consumer are deleted; the others continue."""
    user = uuid4()
    revoked, stays = await added(directory, user, "goes"), await added(directory, user, "stays")
    seed = bus.seed_file(revoked.name).read_text()
    async with connected(bus, revoked.name) as client, connected(bus, stays.name) as other:
        live = await other.subscribe(stays.events)
        await taken(other)

        subscribing.revoke(directory, revoked.name)
        await subscribing.take_effect(directory)

        await until(lambda: closed(client))
        told = await publish(bus, user)
        assert [(await live.next_msg(timeout=5)).data] == told
    assert not bus.seed_file(revoked.name).exists()
    assert await refuses(bus, seed)
    async with connected(bus, "admin") as admin:
        with pytest.raises(NotFoundError):
            await admin.jetstream().consumer_info(STREAM, revoked.name)
        assert await admin.jetstream().consumer_info(STREAM, stays.name)


async def refuses(bus: Nats, seed: str) -> bool:
    """Return whether the server refuses a key."""
    client = Client()
    try:
        options = secured(bus, "admin")  # any certificate: its own was deleted with the key
        await client.connect(bus.url, nkeys_seed_str=seed, allow_reconnect=False, **options)
    except Error:
        return True
    finally:
        await leave(client)
    return False


async def closed(client: Client) -> bool:
    """Return whether a connection is closed."""
    return client.is_closed


async def test_services_work_on_while_the_list_changes(bus: Nats, directory: Path) -> None:
    """A pull in progress gets its message, and the connections stay open."""
    async with await joined(
        bus, "sync-worker", inbox_prefix=b"_INBOX_worker", allow_reconnect=False
    ) as worker:
        pulling = await worker.jetstream().pull_subscribe_bind("sync-worker-okx", stream="SYNC_REQUESTS")
        asked = asyncio.create_task(pulling.fetch(1, timeout=20))

        await added(directory, uuid4())

        async with connected(bus, "admin") as admin:
            await admin.jetstream().publish(subjects.sync_requested("okx"), b"{}")
        (message,) = await asked
        await message.ack_sync(timeout=5)


async def test_what_changed_while_the_stack_was_down_holds_after_the_next_start(tmp_path: Path) -> None:
    """An added subscriber receives then, a revoked one is refused, and its consumer is deleted."""
    user = uuid4()
    async with running(tmp_path):
        revoked = await added(tmp_path, user, "goes")
        seed = Nats.of(tmp_path).seed_file(revoked.name).read_text()
    subscribing.revoke(tmp_path, revoked.name)
    subscribing.revoke(tmp_path, PREFIX)
    late = subscribing.add(tmp_path, user, "late")
    await subscribing.take_effect(tmp_path)
    async with running(tmp_path) as bus:
        assert await refuses(bus, seed)
        told = await publish(bus, user)
        async with connected(bus, late.name) as client, connected(bus, "admin") as admin:
            assert await missed(client, late.name) == told
            names = {each.name for each in await admin.jetstream().consumers_info(STREAM)}
    assert names == {late.name}
    assert [each.name for each in subscribing.listed(tmp_path)] == [late.name]


def test_a_list_that_can_not_be_had_is_refused_in_words(directory: Path) -> None:
    """A taken, invalid or unknown name; and more subscribers than the bus allows."""
    before = subscribing.listed(directory)
    taken_name = subscribing.add(directory, None, "twice").name
    for name, words in (
        ("twice", "exists already"),
        ("UPPER", "not valid"),
        ("a b", "not valid"),
        ("a" * 60, "64 characters"),
    ):
        with pytest.raises(SubscriberFailed, match=words):
            subscribing.add(directory, None, name)
    subscribing.revoke(directory, taken_name)
    with pytest.raises(SubscriberFailed, match="there is no subscriber"):
        subscribing.revoke(directory, taken_name)
    registry = Nats.of(directory).registry
    full = [Subscriber(f"{PREFIX}-{number}", f"U{'A' * 55}") for number in range(MAX_SUBSCRIBERS)]
    with held_back(directory):
        registry.write(tuple(full))
        with pytest.raises(SubscriberFailed, match="no place"):
            subscribing.add(directory, None, "one-more")
        assert not registry.seed_file(f"{PREFIX}-one-more").exists()
    assert subscribing.listed(directory) == before


@contextmanager
def held_back(directory: Path) -> Iterator[None]:
    """Restore the list at the end of the block."""
    registry = Nats.of(directory).registry
    before = registry.subscribers()
    yield
    registry.write(before)


def test_a_stack_of_an_earlier_version_is_not_reconfigured(tmp_path: Path) -> None:
    """Its running services would not understand the accounts."""
    for folder in ("keys", "nats"):
        (tmp_path / folder).mkdir()
    for port in ("port", "monitoring-port"):
        (tmp_path / "nats" / port).write_text("4222")

    with alone(tmp_path), pytest.raises(SubscriberFailed, match="earlier version"):
        subscribing.add(tmp_path, None)


def test_the_command_adds_lists_and_revokes(directory: Path) -> None:
    """It prints the settings for a program, and fails with exit code 1 and words."""
    user = str(uuid4())
    said = command(directory, "add", "--user", user)
    assert f"{PREFIX}-{user}" in said.stdout
    assert f"butler.account.*.{user}" in said.stdout
    assert f"{PREFIX}-{user}  {user}" in command(directory, "list").stdout
    assert command(directory, "revoke", f"{PREFIX}-{user}").returncode == 0
    again = command(directory, "revoke", f"{PREFIX}-{user}")
    assert (again.returncode, "there is no subscriber" in again.stderr) == (1, True)


@pytest.mark.parametrize(("named", "revoked"), [("short", "short"), ("short", f"{PREFIX}-short")])
def test_a_name_is_said_with_its_beginning_or_without(directory: Path, named: str, revoked: str) -> None:
    """`revoke` accepts the value of `--name`, and the two forms that `list` shows."""
    for name in (named, f"{PREFIX}-{named}"):
        assert subscribing.add(directory, None, name).name == f"{PREFIX}-{named}"
        subscribing.revoke(directory, revoked)
    assert f"{PREFIX}-{named}" not in {each.name for each in subscribing.listed(directory)}


async def test_commands_at_once_leave_each_others_consumers(bus: Nats, directory: Path) -> None:
    """Each reads the current list: none deletes a consumer that another has just made."""
    names = [f"crowd-{number}" for number in range(4)]
    adding = [asyncio.to_thread(command, directory, "add", "--all", "--name", name) for name in names]
    assert {done.returncode for done in await asyncio.gather(*adding)} == {0}

    async with connected(bus, "admin") as admin:
        for name in names:
            await admin.jetstream().consumer_info(STREAM, f"{PREFIX}-{name}")


def command(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    full = [sys.executable, "-m", "deploy.local", "subscriber", *words, "--directory", str(directory)]
    return subprocess.run(full, capture_output=True, text=True, timeout=120, check=False)

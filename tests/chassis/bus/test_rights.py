"""Every user has exactly the rights of its row in the topology."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from uuid import uuid4

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts import subjects
from contracts.exchanges import EXCHANGES
from contracts.wire.bus_accounts import server_accounts
from contracts.wire.bus_users import BROKER_ASKS, USERS, User
from contracts.wire.topology import CONSUMERS, STREAMS
from tests.chassis.bus.conftest import Errors, NewClient
from tests.chassis.bus.rights import (
    ROLES,
    SUBSCRIBED,
    TRIED,
    Ear,
    all_ears,
    all_subjects,
    may_publish,
    may_subscribe,
    one_of,
    reaches,
)
from tests.tapping import Tap, taken
from tests.waiting import until

VIOLATION = re.compile(r'permissions violation for (\w+) to "([^"]+)"(?: using queue "([^"]+)")?')
SPEAKERS = {
    subjects.sync_requested("okx"): {"gateway"},
    subjects.sync_scheduled("okx"): {"gateway"},
    subjects.sync_completed("okx"): {"sync-worker", "gateway"},  # the gateway replays dead letters
    subjects.sync_failed("okx"): {"sync-worker", "gateway"},
    subjects.sync_waiting("okx"): {"sync-worker"},
    subjects.prices_requested("okx"): {"gateway"},
    subjects.prices_read("okx"): {"sync-worker"},
    subjects.AUTHORIZE: {"sync-worker"},
    subjects.budgets("default", "okx"): {"sync-worker"},
    subjects.budget_refused("default", "okx"): {"sync-worker"},
    subjects.closures("default", "okx"): {"sync-worker"},
    subjects.region_told("default", "okx"): {"sync-worker"},
    "butler.account.synced.somebody": {"gateway"},
    "butler.portfolio.changed.somebody": {"gateway"},
    "butler.gateway.recorded.something": {"gateway"},
    **{
        each: {"gateway"}
        for each in (
            *(subjects.KEYS, subjects.STORE, subjects.DESTROY, subjects.OFFER),
            subjects.verify("okx"),
        )
    },
    "_INBOX_gateway.x": set(),
    "_INBOX_worker.x": set(),
    "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.SYNC_REQUESTS.sync-worker-okx": set(),
}
each_user = pytest.mark.parametrize("user", TRIED, ids=[user.name for user in TRIED])


async def refused(client: Client, errors: Errors, kind: str) -> set[Ear]:
    """Return all that the server denied so far, in lower case as the client reports it."""
    last = f"nobody.may.say.{uuid4()}"  # errors come in order, but after the response to a flush
    await client.publish(last)

    async def all_told() -> bool:
        return any(last in error for error in errors)

    await until(all_told)
    matches = [VIOLATION.search(error) for error in errors if last not in error]
    return {Ear(match[2], match[3] or "") for match in matches if match and match[1] == kind}


def lower(ears: Iterable[Ear]) -> set[Ear]:
    """Return an attempt in the client's wording."""
    return {Ear(ear.subject.lower(), ear.queue) for ear in ears}


def noting(heard: set[Ear], queue: str) -> Callable[[Msg], Awaitable[None]]:
    """Return a callback that notes each message as received in a queue group."""

    async def on_message(message: Msg) -> None:
        heard.add(Ear(message.subject, queue))

    return on_message


@each_user
async def test_a_user_publishes_what_its_row_says(new_client: NewClient, tap: Tap, user: User) -> None:
    """Allowed messages arrive where the row says; all others are denied and arrive nowhere."""
    client, errors = await new_client(user.name)
    body = uuid4().bytes

    for subject in all_subjects():
        await client.publish(subject, body)
    violations = await refused(client, errors, "publish")

    allowed = {subject for subject in all_subjects() if may_publish(user, subject)}
    assert await tap.places(body) == {
        (account, subject) for subject in allowed for account in reaches(user, subject)
    }
    assert violations == lower(Ear(each) for each in {*all_subjects()} - allowed)
    assert len(all_subjects()) - len(allowed) >= 100


@each_user
async def test_a_user_hears_what_its_row_says(new_client: NewClient, tap: Tap, user: User) -> None:
    """Allowed subscriptions receive, in their queue group only; every other subscription is denied."""
    client, errors = await new_client(user.name)
    heard: set[Ear] = set()
    for ear in all_ears():
        await client.subscribe(ear.subject, ear.queue, cb=noting(heard, ear.queue))
    allowed = {ear for ear in all_ears() if may_subscribe(user, ear)}
    assert await refused(client, errors, "subscription") == lower({*all_ears()} - allowed)

    expected = {Ear(one_of(ear.subject), ear.queue) for ear in allowed}
    for subject in {ear.subject for ear in expected}:
        await tap.say(user.account, subject)

    async def all_heard() -> bool:
        return expected <= heard

    await until(all_heard)


@pytest.mark.parametrize(("subject", "speakers"), SPEAKERS.items())
def test_nobody_speaks_for_another(subject: str, speakers: set[str]) -> None:
    """Outcomes, requests and events come only from the users that own them, and no row grew."""
    assert {user.name for user in TRIED if may_publish(user, subject)} == speakers


STREAMS_WATCHED = (
    *("SYNC_REQUESTS", "SYNC_OUTCOMES", "ACCOUNT_EVENTS", "DEAD_LETTERS", "ADVISORIES"),
    *("PRICE_REQUESTS", "PRICES", "PORTFOLIO_EVENTS", "KV_BUDGETS"),
)
# For operators: single messages of one stream, and of no other.
LETTERS = {("gateway", f"$JS.API.STREAM.MSG.{verb}.DEAD_LETTERS") for verb in ("GET", "DELETE")}

# Workers read the leases and the closed exchanges, and nothing else of that bucket's stream.
LEASES = {
    ("sync-worker", f"$JS.API.DIRECT.GET.KV_BUDGETS.$KV.BUDGETS.x.{key}") for key in ("x", "y", "x.closed")
}


def test_nobody_rules_over_streams_and_consumers() -> None:
    """Of the server's API a service may request its own consumers' state and next message.

    The gateway may also read the state of streams and of the consumers of requests, and the broker that of
    one of these; they may not take their messages. Of the dead letters alone the gateway reads and deletes
    single ones, for operators. A worker gets the values of one bucket, and puts them by a message; it can
    not delete, purge or list them.
    """
    asked = {(user.name, each) for user in TRIED for each in all_subjects() if may_publish(user, each)}
    api = {(name, each) for name, each in asked if each.startswith(("$JS.API", "$SYS"))}
    owners = {each: "gateway" if "gateway" in each.name else "sync-worker" for each in CONSUMERS}
    owners |= {each.consumer: each.name for each in SUBSCRIBED}
    own = {
        (owner, f"$JS.API.CONSUMER.{verb}.{each.stream}.{each.name}")
        for each, owner in owners.items()
        for verb in ("INFO", "MSG.NEXT")
    }
    streams = {("gateway", f"$JS.API.STREAM.INFO.{name}") for name in STREAMS_WATCHED}
    watched = {
        (name, f"$JS.API.CONSUMER.INFO.{each.stream}.{each.name}")
        for name in ("gateway", "vault-broker")
        for each, owner in owners.items()
        if owner == "sync-worker"
        and each.stream == "SYNC_REQUESTS"
        and (name == "gateway" or each == BROKER_ASKS)
    }

    assert {subject for _, subject in watched} == {
        f"$JS.API.CONSUMER.INFO.SYNC_REQUESTS.sync-worker-{how}{exchange}"
        for exchange in EXCHANGES
        for how in ("", "scheduled-")
    }
    assert api == own | streams | watched | LETTERS | LEASES


@pytest.mark.parametrize("role", ROLES)
def test_nobody_reads_the_inbox_of_another(role: str) -> None:
    """Only the sender of a request receives the reply, whatever pattern another user tries."""
    owner = {"worker": "sync-worker", "broker": "vault-broker"}.get(role, role)
    inbox = subjects.inbox_prefix(role)
    for pattern in (f"{inbox}x", f"{inbox}*", f"{inbox}>", "*.x", ">"):
        heard_by = {user.name for user in TRIED if may_subscribe(user, Ear(pattern))}
        assert heard_by <= {owner}


@each_user
async def test_a_request_is_answered_once_by_who_may_answer(
    new_client: NewClient, tap: Tap, user: User
) -> None:
    """A requested service may reply once, to the reply subject; the others not at all."""
    client, errors = await new_client(user.name)
    asked: asyncio.Queue[str] = asyncio.Queue()

    async def on_request(message: Msg) -> None:
        await asked.put(message.reply)

    for row in user.subscribe:
        subject, _, queue = row.partition(" ")
        await client.subscribe(subject, queue, cb=on_request)
    await taken(client)
    body = uuid4().bytes
    for number, row in enumerate(user.subscribe):
        await tap.say(user.account, one_of(row.split(" ")[0]), b"?", f"answer.{number}")
    answers = {await asyncio.wait_for(asked.get(), 5) for _ in user.subscribe}
    for answer in sorted(answers) * 2:
        await client.publish(answer, body)
    violations = await refused(client, errors, "publish")

    said = {(user.account, answer) for answer in answers}
    assert await tap.places(body) == (said if user.replies_within else set())
    assert violations == {Ear(answer) for answer in answers}


async def test_nobody_settles_the_delivery_of_another(new_client: NewClient, admin: Client) -> None:
    """A user's own acknowledgement in one format cannot settle another's delivery in the other format."""
    gateway, _ = await new_client("gateway")
    worker, errors = await new_client("sync-worker")
    await admin.jetstream().publish(subjects.sync_failed("okx"), b"{}")
    pulling = await gateway.jetstream().pull_subscribe_bind("gateway", stream="SYNC_OUTCOMES")
    (message,) = await pulling.fetch(1, timeout=5)

    numbers = message.reply.split(".")[4:]
    for rest in (numbers[:3], numbers, ["1", "1", "1"]):
        forged = ["$JS", "ACK", "SYNC_OUTCOMES", "gateway", "SYNC_REQUESTS", "sync-worker-okx", *rest]
        await worker.publish(".".join(forged), b"+ACK")
    assert await refused(worker, errors, "publish") == set()
    settled = await admin.jetstream().consumer_info("SYNC_OUTCOMES", "gateway")
    assert settled.num_ack_pending == 1
    await message.ack_sync()


def test_every_stream_is_bounded() -> None:
    """Each stream has a maximum age and size."""
    assert all(stream.max_age and stream.max_bytes for stream in STREAMS)


def test_a_user_without_a_key_is_missed() -> None:
    """The server's configuration cannot be written without a user's key."""
    keys = {user.name: ("U",) for user in USERS}

    with pytest.raises(KeyError):
        server_accounts(keys)

"""Other attempts of a user from its own account: headers, traces, and exceeded limits."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from nats.aio.client import Client
from nats.errors import Error
from nats.js.errors import APIError

from contracts import subjects
from contracts.wire.subscribers import LIMITS
from contracts.wire.topology import OUTCOMES_CONSUMER
from deploy.local.nats import Nats
from tests.chassis.bus.conftest import NewClient
from tests.joining import joined, secured
from tests.tapping import Tap, names, taken
from tests.waiting import passed, until

# Each would delete or shadow messages, or publish another one, in a stream that permits it.
HEADERS = (
    {"Nats-Rollup": "all"},
    {"Nats-Rollup": "sub"},
    {"Nats-TTL": "1s"},
    {"Nats-Schedule": "@at 2030-01-01T00:00:00Z", "Nats-Schedule-Target": "butler.account.synced.x"},
    {"Nats-Incr": "1"},
    {"Nats-Batch-Id": "x", "Nats-Batch-Sequence": "1", "Nats-Batch-Commit": "1"},
)
TRACED_TO = (
    "$JS.API.STREAM.DELETE.DEAD_LETTERS",
    "butler.account.synced.x",
    subjects.KEYS,
    "_INBOX_gateway.x",
    "_R_.x",
)


async def test_a_question_is_answered_once(new_client: NewClient) -> None:
    """The server's own account does not reply beside the streams' account, which would be an error."""
    gateway, _ = await new_client("gateway")
    answers = await gateway.subscribe("_INBOX_gateway.asked")
    subject = f"$JS.API.CONSUMER.INFO.{OUTCOMES_CONSUMER.stream}.{OUTCOMES_CONSUMER.name}"

    await gateway.publish(subject, reply="_INBOX_gateway.asked")

    assert b'"error"' not in (await answers.next_msg(timeout=5)).data
    await until(passed(0.3))
    assert answers.pending_msgs == 0
    info = await gateway.jetstream().stream_info("SYNC_OUTCOMES")
    assert info.config.name == "SYNC_OUTCOMES"


async def test_an_announcement_is_heard_once(new_client: NewClient) -> None:
    """Every gateway, in their own account, and every broker receive it once."""
    (speaker, _), (gateway, _), (broker, _) = [
        await new_client(name) for name in ("gateway", "gateway", "vault-broker")
    ]
    ears = [await client.subscribe(subjects.RECORDED_ALL) for client in (speaker, gateway, broker)]
    await taken(speaker, gateway, broker)

    await speaker.publish(subjects.recorded(uuid4()))

    for ear in ears:
        await ear.next_msg(timeout=5)
    await until(passed(0.3))
    assert [ear.pending_msgs for ear in ears] == [0, 0, 0]


@pytest.mark.parametrize("headers", HEADERS, ids=lambda headers: "-".join(next(iter(headers.items()))))
async def test_a_header_changes_no_stream(new_client: NewClient, headers: dict[str, str]) -> None:
    """The streams permit none of the actions of headers."""
    worker, _ = await new_client("sync-worker")

    with pytest.raises(APIError, match=r"not permitted|disabled"):
        await worker.jetstream().publish(subjects.sync_failed("okx"), b"{}", headers=headers)


@pytest.mark.parametrize("only", [{}, {"Nats-Trace-Only": "true"}], ids=["traced", "trace only"])
async def test_a_trace_goes_nowhere_that_its_user_may_not(
    new_client: NewClient, tap: Tap, only: dict[str, str]
) -> None:
    """The server publishes a trace where a header says, but only where the user may publish itself."""
    worker, errors = await new_client("sync-worker")
    for subject in (subjects.AUTHORIZE, subjects.sync_failed("okx")):
        for target in TRACED_TO:
            await worker.publish(subject, b"{}", headers={"Nats-Trace-Dest": target, **only})
    await taken(worker)

    assert not set().union(*map(names, (await tap.all()).values())) & {*TRACED_TO}
    assert sum("permissions violation" in error for error in errors) == 2 * len(TRACED_TO)


async def test_no_user_names_a_reply_as_the_server_does(new_client: NewClient) -> None:
    """A service replies to `_R_.`, which only the server may set."""
    asker, errors = await new_client("gateway")
    await asker.publish(subjects.KEYS, b"{}", reply="_R_.forged")
    await taken(asker)

    async def told() -> bool:
        return any("publish with reply" in error for error in errors)

    await until(told)


async def test_a_subscriber_sends_nothing_large(nats: Nats) -> None:
    """The server closes a connection that sends more than any request or acknowledgement needs."""
    client = await joined(nats, "subscriber-one", allow_reconnect=False)
    subject = "$JS.API.CONSUMER.MSG.NEXT.ACCOUNT_EVENTS.subscriber-one"
    await client.publish(subject, bytes(LIMITS.payload))
    await taken(client)

    await client.publish(subject, bytes(LIMITS.payload + 1))

    async def closed() -> bool:
        return client.is_closed

    await until(closed)


async def test_a_subscriber_has_a_bounded_number_of_connections(nats: Nats, new_client: NewClient) -> None:
    """The server refuses one more."""
    for _ in range(LIMITS.connections):
        await new_client("subscriber-other")
    one_more = Client()
    seed = str(nats.seed_file("subscriber-other"))
    options = secured(nats, "subscriber-other")
    with closing(one_more), pytest.raises(Error):
        await one_more.connect(nats.url, nkeys_seed=seed, allow_reconnect=False, **options)


@contextmanager
def closing(client: Client) -> Iterator[None]:
    """Close the socket of a refused connection, which the client leaves open."""
    yield
    if client._transport is not None:
        client._transport.close()  # type: ignore[no-untyped-call]

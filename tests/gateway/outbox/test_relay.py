"""The relay publishes every row of the outbox once, and one bad stream or row delays no other."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import DiscardPolicy, StreamConfig

from chassis.bus.connection import Bus
from chassis.bus.provision import create_streams
from contracts import subjects
from deploy.local.postgres import SUPERUSER, Postgres
from gateway.outbox.relay import Relay
from gateway.rows.accounts import Account
from gateway.rows.outbox import Outgoing
from gateway.store import outbox
from gateway.store.pool import Pool
from tests.gateway.conftest import opened
from tests.waiting import passed, until

EVENTS, OUTCOMES, REQUESTS = "ACCOUNT_EVENTS", "SYNC_OUTCOMES", "SYNC_REQUESTS"
SUBJECTS = {
    EVENTS: f"butler.account.synced.{uuid4()}",
    OUTCOMES: subjects.sync_failed("okx"),
    REQUESTS: subjects.sync_requested("okx"),
}
SOON = 1.5
STUCK = 5000


@asynccontextmanager
async def relaying(pool: Pool, bus: Bus) -> AsyncIterator[Relay]:
    """Run a relay."""
    relay = Relay(pool, bus)
    running = asyncio.create_task(relay.run())
    await asyncio.sleep(0)  # it runs now
    try:
        yield relay
    finally:
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled(), running.exception()


def message(stream: str, body: bytes = b"{}") -> Outgoing:
    """Return a message for a stream."""
    return Outgoing(str(uuid4()), SUBJECTS[stream], stream, {}, body)


async def put(pool: Pool, messages: Iterable[Outgoing]) -> None:
    """Put messages into the outbox."""
    async with pool.transaction() as connection:
        for each in messages:
            await outbox.put(connection, each)


async def put_many(pool: Pool, stream: str, count: int) -> None:
    """Put that many messages of a stream into the outbox."""
    async with pool.transaction() as connection:
        await connection.execute(
            """insert into outbox (message_id, subject, stream, headers, body)
               select gen_random_uuid()::text, %s, %s, '{}', '{}' from generate_series(1, %s)""",
            [SUBJECTS[stream], stream, count],
        )


async def waiting(pool: Pool, stream: str) -> tuple[int, int]:
    """Count the messages of a stream in the outbox, and how often they were claimed."""
    async with pool.transaction() as connection:
        rows = await connection.execute(
            "select count(*), coalesce(sum(attempts), 0) from outbox where stream = %s", [stream]
        )
        ((count, attempts),) = await rows.fetchall()
    return int(count), int(attempts)


def gone(pool: Pool, stream: str) -> Callable[[], Awaitable[bool]]:
    """Return the condition that the outbox has no message of a stream."""

    async def is_gone() -> bool:
        return (await waiting(pool, stream))[0] == 0

    return is_gone


def claimed(pool: Pool, stream: str, times: int) -> Callable[[], Awaitable[bool]]:
    """Return the condition that the messages of a stream were claimed so often together."""

    async def is_claimed() -> bool:
        return (await waiting(pool, stream))[1] >= times

    return is_claimed


async def published(admin: Client, stream: str) -> int:
    """Count the messages in a stream."""
    return (await admin.jetstream().stream_info(stream)).state.messages


async def missing(admin: Client, stream: str) -> None:
    """Delete a stream: no responder confirms its messages."""
    await admin.jetstream().delete_stream(stream)


async def silent(admin: Client, stream: str) -> None:
    """Let a subscriber take the messages of a stream and never confirm them."""
    await admin.jetstream().delete_stream(stream)
    await admin.subscribe(SUBJECTS[stream])
    await admin.flush()


async def full(admin: Client, stream: str) -> None:
    """Limit a stream to the messages it has."""
    await admin.jetstream().publish(SUBJECTS[stream], b"{}")
    await changed(admin, stream, max_msgs=1, discard=DiscardPolicy.NEW)


async def refusing(admin: Client, stream: str) -> None:
    """Let a stream refuse every message as too large."""
    await changed(admin, stream, max_msg_size=1)


async def changed(admin: Client, stream: str, **settings: object) -> StreamConfig:
    """Change the settings of a stream."""
    config = (await admin.jetstream().stream_info(stream)).config.evolve(**settings)
    await admin.jetstream().update_stream(config)
    return config


async def test_a_row_goes_only_when_its_stream_confirmed(pool: Pool, bus: Bus, admin: Client) -> None:
    """Its row stays until the stream confirms; it is published once, and only then deleted."""
    await missing(admin, EVENTS)
    await put(pool, [message(EVENTS)])
    async with relaying(pool, bus):
        await until(claimed(pool, EVENTS, 3))
        assert (await waiting(pool, EVENTS))[0] == 1
        await create_streams(admin.jetstream())
        await until(gone(pool, EVENTS))

    assert await published(admin, EVENTS) == 1


@pytest.mark.parametrize("bad", [EVENTS, OUTCOMES])
@pytest.mark.parametrize("trouble", [missing, silent, full, refusing], ids=lambda trouble: trouble.__name__)
async def test_one_bad_stream_holds_no_other_up(
    pool: Pool, bus: Bus, admin: Client, trouble: Callable[[Client, str], Awaitable[None]], bad: str
) -> None:
    """5,000 stuck rows of one stream delay no row of another, and are not sent again and again."""
    await trouble(admin, bad)
    await put_many(pool, bad, STUCK)
    async with relaying(pool, bus) as relay:
        await until(claimed(pool, bad, 51))
        for _ in range(10):
            began = time.monotonic()
            await put(pool, [message(REQUESTS)])
            relay.wake()
            await until(gone(pool, REQUESTS))
            assert time.monotonic() - began < SOON
        assert (await waiting(pool, bad))[0] == STUCK

    assert await published(admin, REQUESTS) == 10


async def test_a_stream_that_is_away_is_probed_and_then_served(pool: Pool, bus: Bus, admin: Client) -> None:
    """After fifty failed messages single ones probe; when the stream is back all are published, once each."""
    await missing(admin, EVENTS)
    await put_many(pool, EVENTS, STUCK)
    async with relaying(pool, bus):
        await until(claimed(pool, EVENTS, 51))
        await until(passed(5.0))
        assert (await waiting(pool, EVENTS))[1] < 65
        await create_streams(admin.jetstream())
        await until(gone(pool, EVENTS), 40)

    assert await published(admin, EVENTS) == STUCK


async def test_a_row_that_is_refused_waits_alone(pool: Pool, bus: Bus, admin: Client) -> None:
    """Messages that are too large for their stream are retried ever more rarely; later ones pass them."""
    await put(pool, [message(REQUESTS, b" " * 65 * 1024) for _ in range(60)])
    async with relaying(pool, bus) as relay:
        await until(claimed(pool, REQUESTS, 60))
        for count in range(1, 11):
            began = time.monotonic()
            await put(pool, [message(REQUESTS)])
            relay.wake()

            async def passes(count: int = count) -> bool:
                return await published(admin, REQUESTS) == count

            await until(passes)
            assert time.monotonic() - began < SOON
        await until(passed(3.0))
        count, attempts = await waiting(pool, REQUESTS)

    assert count == 60
    assert attempts < 60 * 5


async def test_a_row_that_no_client_can_send_waits_alone(pool: Pool, bus: Bus, admin: Client) -> None:
    """A message larger than the server's limit, or with a broken subject, fails alone."""
    bad = [
        message(OUTCOMES, b" " * 3 * 1024 * 1024),
        Outgoing("broken", "butler.sync failed", OUTCOMES, {}, b""),
    ]
    await put(pool, [*bad, message(OUTCOMES)])
    async with relaying(pool, bus):
        await until(claimed(pool, OUTCOMES, 4))

        async def passes() -> bool:
            return await published(admin, OUTCOMES) == 1

        await until(passes)

    assert (await waiting(pool, OUTCOMES))[0] == len(bad)


async def test_requests_and_outcomes_go_before_events(pool: Pool, bus: Bus, admin: Client) -> None:
    """Messages that settle syncs are sent first, however many events wait."""
    seen: asyncio.Queue[str] = asyncio.Queue()

    async def on_message(received: Msg) -> None:
        seen.put_nowait(received.subject)

    await admin.subscribe("butler.>", cb=on_message)
    await admin.flush()
    await put_many(pool, EVENTS, 200)
    await put(pool, [message(stream) for stream in (REQUESTS, OUTCOMES) for _ in range(5)])
    async with relaying(pool, bus):
        first = [await asyncio.wait_for(seen.get(), 10) for _ in range(10)]
        await until(gone(pool, EVENTS))

    assert set(first) == {SUBJECTS[REQUESTS], SUBJECTS[OUTCOMES]}


async def test_no_row_is_locked_while_it_is_on_its_way(pool: Pool, bus: Bus, admin: Client) -> None:
    """While a silent stream keeps a message in flight, other transactions may lock its row."""
    await silent(admin, EVENTS)
    await put(pool, [message(EVENTS)])
    async with relaying(pool, bus):
        await until(claimed(pool, EVENTS, 1))
        async with pool.transaction() as connection:
            rows = await connection.execute("select 1 from outbox for update nowait")
            assert len(await rows.fetchall()) == 1


async def test_what_a_dead_relay_had_is_anothers_when_the_lease_ends(
    pool: Pool, bus: Bus, admin: Client
) -> None:
    """Another relay publishes rows that a dead process claimed."""
    await put(pool, [message(OUTCOMES)])
    async with pool.transaction() as connection:
        assert len(await outbox.claim(connection, {}, 50, lease_seconds=2.0)) == 1
        assert await outbox.claim(connection, {}, 50, lease_seconds=2.0) == []
    async with relaying(pool, bus):
        await until(gone(pool, OUTCOMES))

    assert await published(admin, OUTCOMES) == 1


async def test_a_claim_that_the_database_lost_is_harmless(
    pool: Pool, bus: Bus, admin: Client, account: Account, clean_database: Postgres
) -> None:
    """A row that is due again before the relay could delete it, as after a crash, is still published once."""
    sync = await opened(pool, account)
    async with (
        relaying(pool, bus) as relay,
        await clean_database.connect(SUPERUSER) as other,
    ):
        async with other.transaction():
            await other.execute("select from syncs for update")
            await put(pool, [Outgoing(f"{sync.id}:1", SUBJECTS[REQUESTS], REQUESTS, {}, b"{}", sync.id)])
            relay.wake()
            await until(claimed(pool, REQUESTS, 1))
            async with pool.transaction() as connection:
                await connection.execute("update outbox set next_at = now()")
            await until(claimed(pool, REQUESTS, 2))
        await until(gone(pool, REQUESTS))
        await put(pool, [message(OUTCOMES)])
        await until(gone(pool, OUTCOMES))

    assert await published(admin, REQUESTS) == 1


async def test_relays_share_the_rows(pool: Pool) -> None:
    """Eight relays that claim simultaneously have each row once, and all rows together."""
    await put_many(pool, OUTCOMES, 2000)

    async def claims() -> list[int]:
        ids: list[int] = []
        while True:
            async with pool.transaction() as connection:
                rows = await outbox.claim(connection, {}, 50, lease_seconds=60.0)
            if not rows:
                return ids
            ids += [row.id for row in rows]

    shares = await asyncio.gather(*(claims() for _ in range(8)))
    ids = [row for share in shares for row in share]
    assert (len(ids), len(set(ids))) == (2000, 2000)


async def test_a_relay_that_stops_keeps_nothing(pool: Pool, bus: Bus, admin: Client) -> None:
    """Rows in flight at its shutdown are free for another at once, not when the lease ends."""
    await silent(admin, EVENTS)
    await put_many(pool, EVENTS, 10)
    async with relaying(pool, bus):
        await until(claimed(pool, EVENTS, 10))

    async with pool.transaction() as connection:
        assert len(await outbox.claim(connection, {}, 50, lease_seconds=1.0)) == 10


async def test_a_claim_that_is_another_relays_now_is_left_alone(pool: Pool) -> None:
    """A relay whose lease ended does not postpone a row that another has claimed since."""
    await put(pool, [message(EVENTS)])
    async with pool.transaction() as connection:
        (late,) = await outbox.claim(connection, {}, 50, lease_seconds=0.0)
    async with pool.transaction() as connection:
        (current,) = await outbox.claim(connection, {}, 50, lease_seconds=0.0)
        await outbox.put_off(connection, [(late, 300.0)])
    async with pool.transaction() as connection:
        assert [row.id for row in await outbox.claim(connection, {}, 50, 0.0)] == [current.id]


async def test_yesterdays_relay_may_run_beside(pool: Pool, bus: Bus, admin: Client) -> None:
    """A relay that publishes in the deleting transaction shares the work: each row is published once."""
    await put_many(pool, OUTCOMES, 2000)

    async def yesterdays() -> int:
        async with pool.transaction() as connection:
            rows = await connection.execute(
                """select id, message_id, subject, stream, headers, body from outbox
                   order by id limit 50 for update skip locked"""
            )
            taken = await rows.fetchall()
            for _, message_id, subject, stream, headers, body in taken:
                await bus.publish(subject, stream, body, message_id, headers)
            await connection.execute("delete from outbox where id = any(%s)", [[row[0] for row in taken]])
        return len(taken)

    async with relaying(pool, bus):
        while await yesterdays():
            pass
        await until(gone(pool, OUTCOMES))

    assert await published(admin, OUTCOMES) == 2000


async def test_the_place_of_each_request_is_written_down(
    pool: Pool, bus: Bus, admin: Client, account: Account
) -> None:
    """The sequence number of the sync's last request is stored before the row is deleted."""
    await put_many(pool, REQUESTS, 3)
    sync = await opened(pool, account)
    await put(pool, [Outgoing(f"{sync.id}:1", SUBJECTS[REQUESTS], REQUESTS, {}, b"{}", sync.id)])
    async with relaying(pool, bus):
        await until(gone(pool, REQUESTS))

    async with pool.transaction() as connection:
        rows = await connection.execute("select request_seq from syncs")
        ((seq,),) = await rows.fetchall()
    stored = await admin.jetstream().get_msg(REQUESTS, seq)
    assert (stored.headers or {})["Nats-Msg-Id"] == f"{sync.id}:1"

"""A message that is written as claimed is published by its own relay at once, or else by another, once."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.aio.client import Client

from chassis.bus.connection import Bus
from contracts.wire.envelope import SECONDS_LEFT_HEADER
from deploy.local.postgres import SUPERUSER, Postgres
from gateway.errors import AccountPaused
from gateway.outbox.lanes import PLACES
from gateway.outbox.relay import LEASE_SECONDS, Relay
from gateway.rows.accounts import Account
from gateway.rows.outbox import Outgoing
from gateway.store.pool import Pool
from gateway.syncs.open import Terms
from gateway.syncs.recorder import Recorder
from gateway.syncs.requests import Asking, Requests
from tests.gateway.accounts.test_pause import TRADING, outcome
from tests.gateway.allowing import allowing
from tests.gateway.conftest import announcing, opened
from tests.gateway.outbox.test_relay import (
    EVENTS,
    OUTCOMES,
    REQUESTS,
    SOON,
    SUBJECTS,
    claimed,
    gone,
    message,
    missing,
    published,
    put,
    relaying,
)
from tests.gateway.syncs.test_open import pause
from tests.gateway.syncs.test_recorder import completed
from tests.system.test_sweeper import run
from tests.waiting import passed, until


async def written(database: Postgres, each: Outgoing, seconds: float) -> int:
    """Write a message as claimed for so many seconds, and return its id."""
    ((row,),) = await run(
        database,
        """insert into outbox (message_id, subject, stream, headers, body, attempts, next_at)
           values (%s, %s, %s, '{}', '{}', 1, now() + make_interval(secs => %s)) returning id""",
        each.message_id,
        each.subject,
        each.stream,
        seconds,
    )
    assert isinstance(row, int)
    return row


def claiming(database: Postgres) -> Callable[[], Awaitable[bool]]:
    """Return the condition that a claim waits for a lock."""

    async def is_claiming() -> bool:
        return bool(
            await run(
                database,
                """select 1 from pg_stat_activity where wait_event_type = 'Lock'
                      and query like 'with recursive lane%%'""",
            )
        )

    return is_claiming


def requests(pool: Pool, bus: Bus, relay: Relay) -> Requests:
    """Return the part that accepts requests."""
    return Requests(pool, relay, announcing(pool, bus), Terms(Ed25519PrivateKey.generate(), 120), allowing())


async def test_a_message_that_is_handed_over_needs_no_claim(
    pool: Pool, bus: Bus, admin: Client, database: Postgres
) -> None:
    """Its lease keeps it from every claim, and it is published nevertheless."""
    async with relaying(pool, bus) as relay:
        with relay.slots(EVENTS, 1) as slots:
            assert slots.lease > 0
            each = message(EVENTS)
            slots.hand_over(each, await written(database, each, 3600))
        await until(gone(pool, EVENTS))

    assert await published(admin, EVENTS) == 1


async def test_a_message_that_died_with_its_relay_is_anothers(
    pool: Pool, bus: Bus, admin: Client, database: Postgres
) -> None:
    """A process that ends between the commit and the hand-over delays its message by the lease."""
    await written(database, message(OUTCOMES), 1.0)

    async with relaying(pool, bus):
        await until(gone(pool, OUTCOMES))

    assert await published(admin, OUTCOMES) == 1


async def test_a_stream_has_so_many_slots(pool: Pool, bus: Bus) -> None:
    """All requests of a moment together get no more, and those of a block that is left are free again."""
    async with relaying(pool, bus) as relay:
        with relay.slots(EVENTS, PLACES - 1) as first, relay.slots(EVENTS, 10) as second:
            assert (first.left, second.left) == (PLACES - 1, 1)
            with relay.slots(EVENTS, 1) as third, relay.slots(REQUESTS, 1) as other:
                assert (third.lease, other.left) == (0, 1)
        with relay.slots(EVENTS, PLACES) as slots:
            assert slots.left == PLACES


async def test_a_stream_that_does_not_confirm_has_no_slot(pool: Pool, bus: Bus, admin: Client) -> None:
    """Its messages wait in the outbox for a probe, like any others."""
    await missing(admin, EVENTS)
    async with relaying(pool, bus) as relay:
        await put(pool, [message(EVENTS)])
        relay.wake()

        async def refused() -> bool:
            with relay.slots(EVENTS, 1) as slots:
                return not slots.lease

        await until(refused)


async def test_slots_that_a_claim_fills_too_are_no_slots(
    pool: Pool, bus: Bus, admin: Client, database: Postgres
) -> None:
    """Slots that are reserved while a claim runs make the stream full; other streams are published."""
    async with relaying(pool, bus) as relay:
        await put(pool, [message(EVENTS)])
        relay.wake()
        await until(gone(pool, EVENTS))  # the relay knows the stream
        async with await database.connect(SUPERUSER) as writer, await database.connect(SUPERUSER) as keeper:
            for each in (keeper, writer):
                await each.execute("begin")
            await keeper.execute("lock table syncs in exclusive mode")  # nothing is settled
            await writer.execute("lock table outbox in share row exclusive mode")  # the claim waits
            await writer.execute(
                """insert into outbox (message_id, subject, stream, headers, body)
                   select gen_random_uuid()::text, %s, %s, '{}', '{}' from generate_series(1, %s)""",
                [SUBJECTS[EVENTS], EVENTS, PLACES],
            )
            relay.wake()
            await until(claiming(database))
            with relay.slots(EVENTS, PLACES):
                await writer.execute("commit")
                await until(claimed(pool, EVENTS, PLACES))
                with relay.slots(EVENTS, 3) as slots:
                    assert (slots.left, slots.lease) == (0, 0)
                await put(pool, [message(OUTCOMES)])
                relay.wake()
                began = time.monotonic()
                await until(claimed(pool, OUTCOMES, 1))
                assert time.monotonic() - began < SOON
            await keeper.execute("commit")
            await until(gone(pool, OUTCOMES))

    assert await published(admin, OUTCOMES) == 1


async def test_a_relay_that_does_not_run_has_no_slot(pool: Pool, bus: Bus, relay: Relay) -> None:
    """Before its start, without a bus, and after its end: then any relay claims the message."""
    async with relaying(pool, bus) as ran:
        pass
    async with asyncio.TaskGroup() as group:
        running = group.create_task(relay.run())
        await asyncio.sleep(0)
        for each in (ran, relay, Relay(pool, bus)):
            with each.slots(EVENTS, 1) as slots:
                assert slots.lease == 0
        running.cancel()


@pytest.mark.usefixtures("unpublished")
async def test_the_request_of_a_new_sync_is_handed_over(
    pool: Pool, bus: Bus, admin: Client, account: Account, database: Postgres
) -> None:
    """Its place in the stream is written down, it says how long it has, and one that joins adds none."""
    asking = Asking(account.user_id, None)
    async with relaying(pool, bus) as relay:
        first = await requests(pool, bus, relay).one(asking, account.id)
        await until(gone(pool, REQUESTS))
        second = await requests(pool, bus, relay).one(asking, account.id)

    assert (first.target_id, first.opened, second.opened) == (second.target_id, True, False)
    assert await published(admin, REQUESTS) == 1
    ((seq,),) = await run(database, "select request_seq from syncs")
    stored = await admin.jetstream().get_msg(REQUESTS, int(str(seq)))
    assert 119 < float((stored.headers or {})[SECONDS_LEFT_HEADER]) <= 120


@pytest.mark.usefixtures("unpublished")
async def test_a_request_that_waited_for_its_account_says_less_time(
    pool: Pool, bus: Bus, admin: Client, account: Account, database: Postgres
) -> None:
    """The deadline counts from the begin of the transaction, so a worker must not read for longer."""
    async with relaying(pool, bus) as relay:
        async with await database.connect(SUPERUSER) as holder, holder.transaction():
            await holder.execute("select from accounts where id = %s for update", [account.id])
            asked = asyncio.create_task(
                requests(pool, bus, relay).one(Asking(account.user_id, None), account.id)
            )
            await until(passed(1.5))
        await asked
        await until(gone(pool, REQUESTS))

    ((seq,),) = await run(database, "select request_seq from syncs")
    stored = await admin.jetstream().get_msg(REQUESTS, int(str(seq)))
    assert 110 < float((stored.headers or {})[SECONDS_LEFT_HEADER]) < 119


@pytest.mark.usefixtures("unpublished")
async def test_a_refused_request_keeps_no_slot(pool: Pool, bus: Bus, account: Account) -> None:
    """A transaction that rolls back has no message, and its slot is free again."""
    await pause(pool, account)
    async with relaying(pool, bus) as relay:
        for _ in range(3):
            with pytest.raises(AccountPaused):
                await requests(pool, bus, relay).one(Asking(account.user_id, None), account.id)
        with relay.slots(REQUESTS, PLACES) as slots:
            assert slots.left == PLACES


@pytest.mark.usefixtures("unpublished")
async def test_the_event_of_an_outcome_is_handed_over(
    pool: Pool, bus: Bus, admin: Client, account: Account
) -> None:
    """It is published once, also where the outcome comes ten times."""
    sync = await opened(pool, account)
    async with relaying(pool, bus) as relay:
        recorder = Recorder(pool, relay)
        ended = await asyncio.gather(*(recorder.record(completed(sync)) for _ in range(10)))
        await until(gone(pool, EVENTS), LEASE_SECONDS / 2)  # before another claim could find it

    assert len([each for each in ended if each is not None]) == 1
    assert await published(admin, EVENTS) == 1


async def test_a_pause_is_published_at_once_and_before_the_end_of_its_sync(
    pool: Pool, bus: Bus, admin: Client, account: Account
) -> None:
    """Both are left to the claim, which keeps their order."""
    sync = await opened(pool, account)
    async with relaying(pool, bus) as relay:
        await Recorder(pool, relay).record(outcome(sync, TRADING))
        began = time.monotonic()
        await until(gone(pool, EVENTS))
        assert time.monotonic() - began < 0.7  # less than the relay's poll

    stream = (await admin.jetstream().stream_info(EVENTS)).state
    stored = [await admin.jetstream().get_msg(EVENTS, seq) for seq in (stream.first_seq, stream.last_seq)]
    assert [(each.subject or "").split(".")[2] for each in stored] == ["paused", "synced"]

"""Due accounts are synced once, after persons, within a bound, and no request of the schedule is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from nats.aio.subscription import Subscription

from chassis.bus.inspection import consumer_standing
from contracts import subjects
from contracts.syncs import SyncRequested
from contracts.wire.envelope import decode
from contracts.wire.topology import Consumer, scheduled_consumer, sync_worker_consumer
from gateway.store import schedules
from gateway.store.backlog import longest_due
from gateway.syncs.open import Terms, open_due
from gateway.syncs.progress import room_for_scheduled
from gateway.syncs.schedule import BATCH, Scheduler
from tests.gateway.syncs.sweeping.conftest import ACCOUNTS, Sweeping
from tests.waiting import until

SCHEDULED, PERSONS = scheduled_consumer("okx"), sync_worker_consumer("okx")
OPENED = "select account_id from syncs join scheduled_syncs on sync_id = syncs.id"


def scheduler(sweeping: Sweeping, most_waiting: int = 500) -> Scheduler:
    """Return the part of one gateway that opens what is due."""
    return Scheduler(sweeping.pool, sweeping.bus, sweeping.relay, Terms(sweeping.key, 120), most_waiting)


async def due(sweeping: Sweeping, count: int) -> list[object]:
    """Connect accounts that are due."""
    connected = [row[0] for row in await sweeping.rows(ACCOUNTS, count)]
    await sweeping.rows("update schedule set next_at = now() - interval '1 second'")
    return connected


@asynccontextmanager
async def asking(sweeping: Sweeping, consumer: Consumer) -> AsyncIterator[Subscription]:
    """Ask for messages, as a worker with free slots does, and take those that come."""
    inbox = sweeping.admin.new_inbox()
    taking = await sweeping.admin.subscribe(inbox)
    subject = f"$JS.API.CONSUMER.MSG.NEXT.{consumer.stream}.{consumer.name}"
    await sweeping.admin.publish(subject, b'{"batch": 100, "expires": 60000000000}', reply=inbox)

    async def asked() -> bool:
        return (await consumer_standing(sweeping.bus, consumer)).is_asked

    await until(asked)
    yield taking
    await taking.unsubscribe()


async def test_three_gateways_open_what_is_due_once(sweeping: Sweeping) -> None:
    """Each due account has one sync and one request by the schedule, and is due again after its interval."""
    connected = await due(sweeping, 30)
    gateways = [scheduler(sweeping) for _ in range(3)]

    async with asking(sweeping, SCHEDULED):
        for _ in range(2):
            await asyncio.gather(*(gateway.open_due() for gateway in gateways))
        await until(sweeping.relayed)

    assert sorted(map(str, connected)) == sorted(str(row[0]) for row in await sweeping.rows(OPENED))
    assert await sweeping.rows("select count(*) from syncs") == [(30,)]
    assert await sweeping.state("SYNC_REQUESTS") == (30, 30)
    message = await sweeping.admin.jetstream().get_msg("SYNC_REQUESTS", 30)
    assert message.subject == "butler.sync.scheduled.okx"
    request: SyncRequested = decode(message.data or b"", SyncRequested)
    assert await sweeping.rows("select deadline from syncs where id = %s", request.sync_id) == [
        (request.deadline,)
    ]
    again = """select 1 from schedule where next_at between now() + interval '53 minutes'
               and now() + interval '67 minutes'"""
    assert len(await sweeping.rows(again)) == 30
    audited = "select count(*) from audit where action = 'sync_requested' and detail->>'cause' = 'schedule'"
    assert await sweeping.rows(audited) == [(30,)]


async def test_a_gateway_that_dies_while_it_claims_has_done_nothing(sweeping: Sweeping) -> None:
    """Its accounts stay due; meanwhile another gateway leaves them out and does not wait."""
    await due(sweeping, 3)
    async with asking(sweeping, SCHEDULED):
        with suppress(ConnectionError):
            async with sweeping.pool.transaction() as connection:
                claimed = await schedules.claim(connection, "okx", subjects.sync_scheduled("okx"), 2)
                assert len(await open_due(connection, Terms(sweeping.key, 120), claimed)) == 2
                await scheduler(sweeping).open_due()
                raise ConnectionError
        assert len(await sweeping.rows(OPENED)) == 1

        await scheduler(sweeping).open_due()

    assert len({row[0] for row in await sweeping.rows(OPENED)}) == 3
    assert await sweeping.rows("select count(*) from syncs") == [(3,)]


async def test_what_was_claimed_by_a_clock_that_was_ahead_is_due_again(sweeping: Sweeping) -> None:
    """It would wait until that time; an account that is due in a day is not touched."""
    await due(sweeping, 2)
    await sweeping.rows("update schedule set next_at = now() + interval '1 year'")
    await sweeping.rows(
        """update schedule set next_at = now() + interval '26 hours'
           where account_id = (select min(account_id::text)::uuid from schedule)"""
    )

    async with asking(sweeping, SCHEDULED):
        await scheduler(sweeping).open_due()

    assert len(await sweeping.rows(OPENED)) == 1
    left = "select 1 from schedule where next_at > now() + interval '25 hours'"
    assert len(await sweeping.rows(left)) == 1


async def test_an_open_sync_is_joined(sweeping: Sweeping) -> None:
    """The account of a person's open sync gets no other, and is due again after its interval."""
    await sweeping.requested()
    await until(sweeping.relayed)
    await sweeping.rows("update schedule set next_at = now()")

    async with asking(sweeping, SCHEDULED):
        await scheduler(sweeping).open_due()

    assert await sweeping.rows("select count(*) from syncs") == [(1,)]
    assert await sweeping.rows(OPENED) == []
    assert await sweeping.rows("select 1 from schedule where next_at <= now()") == []


async def test_a_paused_exchange_is_left_alone_until_its_end(sweeping: Sweeping) -> None:
    """Its accounts stay due, and are not looked at again and again; no one calls them late."""
    await due(sweeping, 2)
    await sweeping.rows("insert into paused_exchanges (exchange) values ('okx')")

    async with asking(sweeping, SCHEDULED):
        await scheduler(sweeping).open_due()
        assert len(await sweeping.rows("select 1 from schedule where next_at <= now()")) == 2
        assert await sweeping.pool.single(lambda connection: longest_due(connection, ["okx"])) is None
        await sweeping.rows("delete from paused_exchanges")
        await scheduler(sweeping).open_due()

    assert len(await sweeping.rows(OPENED)) == 2


@pytest.mark.parametrize("paused", ["account", "user"])
async def test_what_is_paused_is_not_opened_and_looked_at_again_soon(sweeping: Sweeping, paused: str) -> None:
    """So its sync follows the end of the pause by minutes; so it is for a user whom an operator disabled."""
    await due(sweeping, 1)
    if paused == "account":
        await sweeping.rows(
            """insert into account_pauses (account_id, credential_id, reason, next_verify_at)
               select id, credential_id, 'unknown_right', now() from accounts"""
        )
    else:
        await sweeping.rows("insert into disabled_users (user_id) select user_id from accounts")

    async with asking(sweeping, SCHEDULED):
        await scheduler(sweeping).open_due()

    assert await sweeping.rows("select 1 from syncs") == []
    soon = "select 1 from schedule where next_at between now() and now() + interval '6 minutes'"
    assert len(await sweeping.rows(soon)) == 1


async def test_no_more_wait_for_the_workers_than_the_bound(sweeping: Sweeping) -> None:
    """What the workers have not done counts; the rest stays due. A bound of 0 turns the schedule off."""
    await due(sweeping, 12)
    gateway, off = scheduler(sweeping, most_waiting=5), scheduler(sweeping, most_waiting=0)

    async with asking(sweeping, SCHEDULED) as taking:
        await off.open_due()
        assert await sweeping.rows("select 1 from syncs") == []
        for _ in range(2):
            await gateway.open_due()
            await until(sweeping.relayed)
        assert await sweeping.rows("select count(*) from syncs") == [(5,)]

        for _ in range(4):
            await (await taking.next_msg(timeout=5)).ack_sync()
        await gateway.open_due()

    assert await sweeping.rows("select count(*) from syncs") == [(9,)]
    assert await sweeping.rows("select count(*) from schedule where next_at <= now()") == [(3,)]


async def test_what_waits_in_the_outbox_counts(sweeping: Sweeping) -> None:
    """While a stream refuses, the schedule does not fill the outbox."""
    await due(sweeping, 2)
    await sweeping.rows(
        """insert into outbox (message_id, subject, stream, headers, body, next_at)
           select n::text, 'butler.sync.scheduled.okx', 'SYNC_REQUESTS', '{}', '', 'infinity'
           from generate_series(1, %s) as n""",
        BATCH - 1,
    )

    async with asking(sweeping, SCHEDULED):
        await scheduler(sweeping).open_due()

    assert await sweeping.rows("select count(*) from syncs") == [(1,)]


async def test_without_a_worker_nothing_is_opened(sweeping: Sweeping) -> None:
    """Nor without an answer of the bus: the syncs would only fail at their deadline."""
    await due(sweeping, 1)

    await scheduler(sweeping).open_due()
    async with asking(sweeping, PERSONS):  # a worker of the version before
        await scheduler(sweeping).open_due()

    assert await sweeping.rows("select 1 from syncs") == []
    assert await room_for_scheduled(sweeping.bus, "unknown", 5) == 0


async def opened(sweeping: Sweeping, count: int = 3) -> None:
    """Open syncs by the schedule, with requests in the stream that are silent for long, and no worker."""
    await due(sweeping, count)
    async with sweeping.pool.transaction() as connection:
        claimed = await schedules.claim(connection, "okx", subjects.sync_scheduled("okx"), count)
        await open_due(connection, Terms(sweeping.key, 120), claimed)
    await until(sweeping.relayed)
    assert len(await sweeping.rows(OPENED)) == count
    await until(sweeping.silent)


async def test_a_lost_request_of_the_schedule_is_published_again_as_one_of_a_person(
    sweeping: Sweeping,
) -> None:
    """On the subject that each version of the worker knows."""
    await opened(sweeping)
    await sweeping.admin.jetstream().purge_stream("SYNC_REQUESTS")

    await sweeping.sweeper().sweep()
    await until(sweeping.relayed)

    assert await sweeping.publications() == [2] * 3
    messages, last = await sweeping.state("SYNC_REQUESTS")
    assert messages == 3
    message = await sweeping.admin.jetstream().get_msg("SYNC_REQUESTS", last)
    assert message.subject == "butler.sync.requested.okx"


async def test_workers_of_the_version_before_get_what_they_do_not_take(sweeping: Sweeping) -> None:
    """Where workers take requests of persons only, those of the schedule are published again as such."""
    await opened(sweeping)

    async with asking(sweeping, PERSONS):
        await sweeping.sweeper().sweep()

    assert await sweeping.publications() == [2] * 3


async def test_a_backlog_of_the_schedule_is_not_doubled(sweeping: Sweeping) -> None:
    """Whether a worker has begun some of it, or no worker takes any request."""
    await opened(sweeping)
    sweeper = sweeping.sweeper()

    await sweeper.sweep()
    await sweeping.delivered(SCHEDULED.stream, SCHEDULED.name, 1)
    async with asking(sweeping, PERSONS):
        await sweeper.sweep()

    assert await sweeping.publications() == [1] * 3


async def test_requests_of_persons_and_of_the_schedule_are_missed_apart(sweeping: Sweeping) -> None:
    """What one consumer has acknowledged says nothing about the messages of the other."""
    await opened(sweeping, 2)
    await sweeping.published(2)
    async with asking(sweeping, SCHEDULED):
        for message in await sweeping.delivered(PERSONS.stream, PERSONS.name, 2):
            await message.ack_sync()
        await sweeping.sweeper().sweep()

    lost = "select id in (select sync_id from scheduled_syncs), publications from syncs order by 1, 2"
    assert await sweeping.rows(lost) == [(False, 2), (False, 2), (True, 1), (True, 1)]

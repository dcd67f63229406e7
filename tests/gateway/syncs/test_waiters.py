"""Requests wait for the ends of their syncs, bounded in time and number, and until a shutdown at most."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from uuid_utils.compat import uuid7

from deploy.local.postgres import Postgres
from gateway.places import SHARE
from gateway.rows.accounts import Account
from gateway.store.pool import MAX_CONNECTIONS, Pool
from gateway.syncs.waiters import POLL_SECONDS, REMEMBERED, Waiters
from tests.gateway.accounts.test_pause import recorded
from tests.gateway.conftest import opened
from tests.gateway.denying import denied
from tests.gateway.looping import looping
from tests.gateway.syncs.test_recorder import another, failed
from tests.waiting import passed, until

PLACES = 8
# Far longer than a test takes.
LONG = 60.0
# Enough for a wake-up, and less than a poll.
AT_ONCE = POLL_SECONDS / 2


@pytest.fixture(name="stopping")
def _stopping() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture(name="waiters")
def _waiters(pool: Pool, stopping: asyncio.Event) -> Waiters:
    """Return waiters that do not poll."""
    return Waiters(pool, stopping, PLACES)


@pytest_asyncio.fixture(name="polling")
async def _polling(waiters: Waiters) -> AsyncIterator[Waiters]:
    """Return waiters that poll."""
    async with looping(waiters.poll()):
        yield waiters


async def begun(
    waiters: Waiters, sync_ids: Iterable[UUID], client: UUID | None = None, seconds: float = LONG
) -> asyncio.Task[None]:
    """Begin to wait, for a new client unless one is given."""
    task = asyncio.create_task(waiters.wait(client or uuid4(), sync_ids, seconds))
    await asyncio.sleep(0)
    return task


async def over(*waits: asyncio.Task[None], seconds: float = AT_ONCE) -> bool:
    """Return whether all these waits end at once."""
    _, still = await asyncio.wait(waits, timeout=seconds)
    return not still


async def cancelled(*waits: asyncio.Task[None]) -> None:
    """Cancel waits, as when their clients go away."""
    for wait in waits:
        wait.cancel()
    await asyncio.wait(waits)


async def test_an_announced_end_wakes_all_who_wait_for_it(waiters: Waiters) -> None:
    """At once; those that wait for another sync go on waiting."""
    ended, other = uuid7(), uuid7()
    two = [await begun(waiters, [ended]) for _ in range(2)]
    third = await begun(waiters, [other])

    waiters.wake(ended)

    assert await over(*two)
    assert not third.done()
    await cancelled(third)


async def test_a_wait_may_begin_after_the_announcement(waiters: Waiters) -> None:
    """The announcement of a sync that was just opened may come first; it is remembered, for a while."""
    ended = uuid7()
    waiters.wake(ended)

    assert await over(asyncio.create_task(waiters.wait(uuid4(), [ended], LONG, new=True)))

    for _ in range(REMEMBERED):
        waiters.wake(uuid7())
    forgotten = asyncio.create_task(waiters.wait(uuid4(), [ended], LONG, new=True))
    assert not await over(forgotten, seconds=0.05)
    await cancelled(forgotten)


async def test_the_process_that_ended_a_sync_has_it_for_the_answer(
    pool: Pool, waiters: Waiters, account: Account
) -> None:
    """The announcement that follows says only that it has ended, and takes nothing away."""
    sync = await opened(pool, account)
    assert waiters.ended(sync.id) is None

    waiters.wake(sync.id, sync)
    waiters.wake(sync.id)

    assert waiters.ended(sync.id) == sync


async def test_a_batch_waits_for_its_last_sync(waiters: Waiters) -> None:
    """In whatever order they end, and an announcement may come twice."""
    ids = [uuid7() for _ in range(3)]
    batch = await begun(waiters, ids)

    for sync_id in (ids[2], ids[0], ids[0]):
        waiters.wake(sync_id)
    assert not await over(batch, seconds=0.1)
    waiters.wake(ids[1])

    assert await over(batch)


async def test_a_batch_without_syncs_does_not_wait(waiters: Waiters) -> None:
    """All of none have ended."""
    assert await over(await begun(waiters, []))


async def test_a_wait_ends_with_its_time(waiters: Waiters) -> None:
    """The response says that the sync is still open."""
    assert await over(await begun(waiters, [uuid7()], seconds=0.05))


async def test_an_end_before_the_wait_is_found_at_once(
    pool: Pool, polling: Waiters, account: Account
) -> None:
    """A wait that begins after the announcement finds the outcome, because it starts with a query."""
    sync = await opened(pool, account)
    await recorded(pool, failed(sync))

    assert await over(await begun(polling, [sync.id]))


async def test_an_end_whose_announcement_is_lost_is_found_by_the_poll(
    pool: Pool, polling: Waiters, account: Account
) -> None:
    """Within about a second, for the sync that ended alone."""
    sync, other = await opened(pool, account), await opened(pool, await another(pool, account, 1))
    wait, still = await begun(polling, [sync.id]), await begun(polling, [other.id])
    assert not await over(wait, seconds=0.1)

    await recorded(pool, failed(sync))

    assert await over(wait, seconds=2 * POLL_SECONDS)
    assert not still.done()
    await cancelled(still)


async def test_a_shutdown_ends_every_wait_at_once(waiters: Waiters, stopping: asyncio.Event) -> None:
    """Those that wait, and one that begins afterwards."""
    waits = [await begun(waiters, [uuid7()]) for _ in range(3)]

    stopping.set()

    assert await over(*waits, await begun(waiters, [uuid7()]))


async def test_one_too_many_does_not_wait(waiters: Waiters) -> None:
    """It returns at once, without an error; the others go on, and a free place is taken again."""
    waits = [await begun(waiters, [uuid7()]) for _ in range(PLACES)]

    assert await over(await begun(waiters, [uuid7()]))
    assert not any(wait.done() for wait in waits)

    await cancelled(waits.pop())
    waits.append(await begun(waiters, [uuid7()]))
    assert not await over(waits[-1], seconds=0.1)
    await cancelled(*waits)


async def test_a_client_waits_with_a_share_of_the_places(waiters: Waiters) -> None:
    """However many requests it sends, others can wait."""
    greedy = uuid4()
    waits = [await begun(waiters, [uuid7()], greedy) for _ in range(PLACES // SHARE)]

    assert await over(await begun(waiters, [uuid7()], greedy))
    other = await begun(waiters, [uuid7()])
    assert not await over(other, seconds=0.1)
    await cancelled(*waits, other)


async def test_a_client_that_goes_takes_no_other_along(waiters: Waiters) -> None:
    """Another request that waits for the same sync is woken as before."""
    sync_id = uuid7()
    gone, stays = await begun(waiters, [sync_id]), await begun(waiters, [sync_id])

    await cancelled(gone)
    assert not stays.done()
    waiters.wake(sync_id)

    assert await over(stays)


async def test_waiting_holds_no_connection_of_the_database(pool: Pool, stopping: asyncio.Event) -> None:
    """More requests wait than the pool has connections, and a transaction is served at once."""
    many = Waiters(pool, stopping, 4 * MAX_CONNECTIONS)
    async with looping(many.poll()):
        waits = [await begun(many, [uuid7()]) for _ in range(2 * MAX_CONNECTIONS)]
        async with asyncio.timeout(AT_ONCE), pool.transaction() as connection:
            await connection.execute("select 1")
        assert not any(wait.done() for wait in waits)
        await cancelled(*waits)


async def test_a_wait_outlives_the_database(
    pool: Pool, polling: Waiters, account: Account, database: Postgres
) -> None:
    """While it is away the request waits on, and it is woken when the database is there again."""
    sync = await opened(pool, account)
    await recorded(pool, failed(sync))

    async with denied(database, "select", "syncs"):
        wait = await begun(polling, [sync.id])
        await until(passed(0.1))
        assert not wait.done()

    assert await over(wait, seconds=2 * POLL_SECONDS)

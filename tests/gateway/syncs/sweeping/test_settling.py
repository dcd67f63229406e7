"""A sync over its deadline is settled once, after every outcome that came in time, within a minute."""

import asyncio
import time
from uuid import UUID

from chassis.bus.inspection import INFO_SECONDS
from contracts.faults import Code
from contracts.syncs import SyncFailed
from contracts.wire.envelope import encode
from gateway.syncs.sweeper import LATEST_SECONDS, SWEEP_SECONDS
from tests.gateway.syncs.sweeping.conftest import Sweeping
from tests.waiting import until


async def said(sweeping: Sweeping, sync_id: UUID) -> None:
    """Let a worker publish its outcome."""
    ((account_id,),) = await sweeping.rows("select account_id from syncs where id = %s", sync_id)
    outcome = SyncFailed(sync_id, UUID(str(account_id)), "okx", Code.KEY_UNKNOWN, "no such key")
    headers = {"Nats-Msg-Id": f"{sync_id}:outcome"}
    await sweeping.admin.jetstream().publish("butler.sync.failed.okx", encode(outcome), headers=headers)


async def code_of(sweeping: Sweeping, sync_id: UUID) -> object:
    """Return the recorded code of a sync; None while it is open."""
    return (await sweeping.rows("select error_code from syncs where id = %s", sync_id))[0][0]


async def settlements(sweeping: Sweeping) -> int:
    """Count the rows that were ever inserted into the outbox."""
    ((last, called),) = await sweeping.rows("select last_value, is_called from outbox_id_seq")
    return int(str(last)) if called else 0


async def over(sweeping: Sweeping, seconds: float = 7) -> None:
    """Move the deadline of every open sync so far into the past."""
    await sweeping.rows("update syncs set deadline = now() - make_interval(secs => %s)", seconds)


async def test_an_outcome_that_came_in_time_is_recorded(sweeping: Sweeping) -> None:
    """A replica holds it while the deadline passes; the sync waits for it and ends as the worker says."""
    (sync_id,) = await sweeping.opened()
    await said(sweeping, sync_id)
    (held,) = await sweeping.delivered("SYNC_OUTCOMES", "gateway", 1)
    sweeper = sweeping.sweeper()
    async with sweeping.recording():
        await over(sweeping)
        await sweeper.sweep()
        assert await settlements(sweeping) == 0

        await held.nak()

        async def ended() -> bool:
            await sweeper.sweep()
            return await code_of(sweeping, sync_id) is not None

        await until(ended)
    assert await code_of(sweeping, sync_id) == "key_unknown"


async def test_a_backlog_of_outcomes_is_recorded_first(sweeping: Sweeping) -> None:
    """Gateways that were away find many outcomes; those that came in time win."""
    opened = await sweeping.opened(300)
    for sync_id in opened:
        await said(sweeping, sync_id)
    await over(sweeping)
    sweeper = sweeping.sweeper()
    await sweeper.sweep()

    async with sweeping.recording():

        async def all_ended() -> bool:
            await sweeper.sweep()
            return await sweeping.rows("select 1 from syncs where status = 'queued'") == []

        await until(all_ended)
    assert await sweeping.rows("select distinct error_code from syncs") == [("key_unknown",)]


async def test_later_outcomes_do_not_hold_up_earlier_deadlines(sweeping: Sweeping) -> None:
    """On a bus that is never idle, the sweeper waits only for the outcomes published before the deadline."""
    earlier, later = await sweeping.opened(2)
    await said(sweeping, earlier)
    await over(sweeping)
    sweeper = sweeping.sweeper()
    (first,) = await sweeping.delivered("SYNC_OUTCOMES", "gateway", 1)
    await sweeper.sweep()
    await said(sweeping, later)
    (_second,) = await sweeping.delivered("SYNC_OUTCOMES", "gateway", 1)
    await first.ack_sync()

    await sweeper.sweep()

    settled = await sweeping.rows("select count(*) from sync_settlements")
    assert settled == [(2,)]


async def test_a_stuck_consumer_holds_a_sync_up_for_a_bounded_time(sweeping: Sweeping) -> None:
    """However long an outcome is held, the sync is settled, but not before that time."""
    (sync_id,) = await sweeping.opened()
    await said(sweeping, sync_id)
    await sweeping.delivered("SYNC_OUTCOMES", "gateway", 1)
    await over(sweeping, seconds=60)
    sweeper, began = sweeping.sweeper(latest=2), time.monotonic()

    async def settled() -> bool:
        await sweeper.sweep()
        return await settlements(sweeping) == 1

    await until(settled)
    assert 2 <= time.monotonic() - began < 5


async def test_a_sync_is_settled_within_a_minute() -> None:
    """The bound, the time between two sweeps and the look before it are less than a minute together."""
    assert LATEST_SECONDS + SWEEP_SECONDS + 2 * INFO_SECONDS <= 60


async def test_each_sync_is_settled_once(sweeping: Sweeping) -> None:
    """Two gateways that sweep repeatedly write one outcome, even if it is not recorded soon."""
    await sweeping.opened(1200, seconds=-7)
    sweepers = [sweeping.sweeper(), sweeping.sweeper()]
    for sweeper in sweepers:
        await sweeper._look()

    await asyncio.gather(*(sweeper.sweep() for sweeper in sweepers))
    await until(sweeping.relayed, 60)
    await asyncio.gather(*(sweeper.sweep() for sweeper in sweepers))

    assert await settlements(sweeping) == 1200
    assert await sweeping.state("SYNC_OUTCOMES") == (1200, 1200)


async def test_a_settlement_that_came_to_nothing_is_repeated(sweeping: Sweeping) -> None:
    """A sync that is open a minute after its settlement is settled again, and the stream accepts that."""
    await sweeping.opened(1, seconds=-7)
    sweeper = sweeping.sweeper()
    await sweeper.sweep()
    await until(sweeping.relayed)
    await sweeping.rows("update sync_settlements set settled_at = settled_at - interval '61 seconds'")
    await sweeping.admin.jetstream().purge_stream("SYNC_OUTCOMES")

    await sweeper.sweep()
    await until(sweeping.relayed)

    assert await settlements(sweeping) == 2
    assert (await sweeping.admin.jetstream().stream_info("SYNC_OUTCOMES")).state.messages == 1


async def test_ten_thousand_are_settled_in_batches(sweeping: Sweeping) -> None:
    """All are in the outbox within 60 s, and a sync is never locked for longer than a second."""
    opened = await sweeping.opened(10_000, seconds=-7)
    sweeper, began = sweeping.sweeper(), time.monotonic()
    settling, longest = asyncio.create_task(sweeper.sweep()), 0.0
    while not settling.done():
        tried = time.monotonic()
        await sweeping.rows("select 1 from syncs where id = any(%s) for update", opened[::1000])
        longest = max(longest, time.monotonic() - tried)
    await settling
    await sweeper.sweep()  # the syncs that the test had locked

    assert await sweeping.rows("select count(*) from sync_settlements") == [(10_000,)]
    assert time.monotonic() - began < 60
    assert longest < 1


async def test_an_exchange_that_this_version_does_not_know_stops_nothing(sweeping: Sweeping) -> None:
    """A sync of a later version is left to that version; the others are settled."""
    unknown, known = await sweeping.opened(2, seconds=-7)
    await sweeping.rows("update syncs set exchange = 'not an exchange.*' where id = %s", unknown)

    await sweeping.sweeper().sweep()

    assert await sweeping.rows("select sync_id from sync_settlements") == [(known,)]

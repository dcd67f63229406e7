"""Snapshots that are older than two days are thinned to one an hour, and no answer of a full hour changes."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from deploy.local.postgres import SUPERUSER, Postgres
from gateway.accounts.changes import LAST_ID, list_changes
from gateway.accounts.closing import Closer
from gateway.accounts.history import Asked, Span, find_at, find_history
from gateway.housekeeping import Housekeeper
from gateway.http.change_views import changes_page
from gateway.http.history_views import history_view
from gateway.portfolio.grid import Interval
from gateway.rows.accounts import Account
from gateway.rows.snapshots import Place
from gateway.store import thinning
from gateway.store.pool import Pool
from tests.gateway.accounts.test_closing import held, midnight, overdue
from tests.system.test_sweeper import run

pytestmark = pytest.mark.usefixtures("unpublished")
BEGAN = midnight(6)


async def changed(pool: Pool, account: Account, *minutes: int) -> None:
    """Begin snapshots, so many minutes after the start, each confirmed a minute before the next."""
    for number, minute in enumerate(minutes):
        at = BEGAN + timedelta(minutes=minute)
        await held(pool, account, at, at - timedelta(minutes=1), BTC=str(number + 1))


@pytest.fixture(name="busy")
async def _busy(pool: Pool, account: Account, database: Postgres) -> Account:
    """Return an account that changed often, six days ago and today."""
    await run(database, "update accounts set created_at = now() - interval '30 days'")
    await changed(pool, account, 5, 10, 60, 61, 100, 119, 120, 130, 150, 24 * 60 - 30, 24 * 60 - 20)
    now = datetime.now(BEGAN.tzinfo)
    for minutes in (3, 2, 1):
        at = now - timedelta(minutes=minutes)
        await held(pool, account, at, at, BTC=str(100 - minutes))
    await run(
        database,
        """insert into price_points (asset, source, at, value, method, observed_at)
           select 'BTC', 'okx', at, 10, 'cross', at
           from generate_series(%s::timestamptz, %s::timestamptz, interval '1 hour') at""",
        BEGAN,
        BEGAN + timedelta(days=2),
    )
    await run(database, "update thinnings set next_at = now(), until = %s", BEGAN)
    await overdue(database, account, 0)
    return account


async def left(database: Postgres) -> list[int]:
    """Return the minutes at which the snapshots of the first days began."""
    rows = await run(
        database, "select since from snapshots where since < %s order by since", BEGAN + timedelta(days=1)
    )
    return [(row[0] - BEGAN) // timedelta(minutes=1) for row in rows]


async def hourly(pool: Pool, account: Account) -> Any:
    """Return the points of two days."""
    span = Span(BEGAN - timedelta(hours=1), BEGAN + timedelta(days=2), Interval.HOUR)
    return history_view(await find_history(pool, Asked(account.user_id), span), Interval.HOUR)


async def test_old_hours_keep_one_snapshot_and_each_full_hour_its_answer(
    pool: Pool, busy: Account, database: Postgres
) -> None:
    """The first of all stays, and so do those of the last two days."""
    before = await hourly(pool, busy)
    young = await run(database, "select since from snapshots where since > now() - interval '2 days'")

    await Housekeeper(pool).keep()

    assert await left(database) == [5, 60, 120, 150, 24 * 60 - 20]
    assert await hourly(pool, busy) == before
    assert await run(database, "select since from snapshots where since > now() - interval '2 days'") == young
    at = BEGAN + timedelta(minutes=65)
    ((then, _),) = (await find_at(pool, Asked(busy.user_id), at)).points
    assert (then.state.value, then.codes[0]) == ("stale", "history_thinned")


async def test_changes_are_those_between_the_snapshots_that_are_left(pool: Pool, busy: Account) -> None:
    """The changes of an hour are one, with their sum, between the last time as before and its beginning."""
    await Housekeeper(pool).keep()

    last = Place(BEGAN + timedelta(days=1), LAST_ID)
    page = changes_page(await list_changes(pool, busy.user_id, BEGAN, last, 100))

    told = [(each.old_quantity, each.new_quantity) for change in page.items for each in change.assets]
    assert told == [("9", "11"), ("7", "9"), ("3", "7"), ("1", "3"), (None, "1")]
    minutes = [
        (change.unchanged_until - BEGAN) // timedelta(minutes=1)
        for change in page.items
        if change.unchanged_until is not None
    ]
    assert minutes == [1409, 129, 60, 9]


async def test_what_a_day_that_is_not_closed_needs_is_left(
    pool: Pool, busy: Account, database: Postgres
) -> None:
    """Its close may be between full hours; then it is thinned, too."""
    half = BEGAN + timedelta(minutes=115)
    await run(database, "update user_clocks set zone = 'Asia/Kolkata', next_close_at = %s", half)

    await Housekeeper(pool).keep()
    waiting = await left(database)
    await run(database, "update user_clocks set next_close_at = %s", half)
    await Closer(pool).close_due()
    await run(database, "update thinnings set next_at = now()")
    await Housekeeper(pool).keep()

    assert waiting == [5, 60, 61, 100, 119, 120, 130, 150, 24 * 60 - 30, 24 * 60 - 20]
    ((quantity,),) = await run(
        database, "select content #>> '{amounts,0,quantity}' from closes where at = %s", half
    )
    assert quantity == "5"
    assert await left(database) == [5, 60, 120, 150, 24 * 60 - 20]


async def test_gateways_that_thin_at_once_do_it_once(pool: Pool, busy: Account, database: Postgres) -> None:
    """An account that one has locked is left out by the others, who do not wait."""
    await asyncio.gather(*(Housekeeper(pool).keep() for _ in range(4)))
    assert await left(database) == [5, 60, 120, 150, 24 * 60 - 20]

    await run(database, "update thinnings set next_at = now()")
    async with await database.connect(SUPERUSER) as connection, connection.transaction():
        await connection.execute("select 1 from thinnings for update")
        async with pool.transaction() as other:
            assert await thinning.claim(other) is None


async def test_an_account_that_can_not_be_thinned_stops_no_other(
    pool: Pool, busy: Account, database: Postgres
) -> None:
    """Though it has been due the longest, in every turn."""
    stuck = uuid4()
    await run(
        database,
        """insert into thinnings (account_id, until, next_at) values (%s, %s, now() - interval '1 day')""",
        stuck,
        BEGAN,
    )
    await run(
        database,
        """create function refused() returns trigger language plpgsql as $$ begin raise 'refused'; end $$;
           create trigger refused before update on thinnings for each row
           when (old.next_at < now() - interval '1 hour') execute function refused()""",
    )
    try:
        await Housekeeper(pool).keep()
    finally:
        await run(database, "drop function refused cascade")

    assert await left(database) == [5, 60, 120, 150, 24 * 60 - 20]


async def test_an_account_that_changed_very_often_is_thinned_by_hours(
    pool: Pool, busy: Account, database: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction deletes no more than it can in its time, and in the end as much."""
    monkeypatch.setattr("gateway.housekeeping.MOST_BEGUN", 3)

    await Housekeeper(pool).keep()

    assert await left(database) == [5, 60, 120, 150, 24 * 60 - 20]


async def test_a_deleted_account_is_not_thinned(pool: Pool, busy: Account, database: Postgres) -> None:
    """Its row goes with its snapshots."""
    await run(database, "update accounts set deleted_at = now(), credential_id = null where id = %s", busy.id)

    await Housekeeper(pool).keep()

    assert await run(database, "select 1 from thinnings union all select 1 from snapshots") == []


async def test_no_other_part_of_a_snapshot_can_be_changed(
    pool: Pool, busy: Account, database: Postgres
) -> None:
    """The gateway's role may set when it was thinned, alone."""
    ((allowed,),) = await run(
        database,
        """select array_agg(attname::text) from pg_attribute where attrelid = 'snapshots'::regclass
           and attnum > 0 and has_column_privilege('butler_gateway', attrelid, attnum, 'update')""",
    )

    assert allowed == ["changed_at"]


async def test_thinning_reads_no_whole_table(pool: Pool, busy: Account, database: Postgres) -> None:
    """Beside many snapshots of others, each statement finds its rows by an index."""
    await run(
        database,
        """insert into snapshots (account_id, since, until, fresh_seconds, user_id, id, content)
           select gen_random_uuid(), %s + n * interval '1 second', %s + n * interval '1 second', 7200,
               gen_random_uuid(), gen_random_uuid(), '{}' from generate_series(1, 5000) n""",
        BEGAN,
        BEGAN,
    )
    await run(database, "analyze snapshots")
    scans = """select coalesce(sum(seq_tup_read), 0) from pg_stat_xact_user_tables
               where relname like 'snapshots%'"""
    async with pool.transaction() as connection:
        times = await thinning.list_beginnings(connection, busy.id, BEGAN, BEGAN + timedelta(hours=2))
        await thinning.delete(connection, busy.id, times[1:3])
        await thinning.mark(connection, busy.id, {times[0]: times[1]})
        ((read,),) = await (await connection.execute(scans)).fetchall()

    assert len(times) == 8
    assert read == 0

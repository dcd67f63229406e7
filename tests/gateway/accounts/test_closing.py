"""Each day of a user is closed once, with what the accounts held at its end and the prices of then."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from deploy.keys import SUPERUSER
from deploy.local.postgres import Postgres
from gateway.accounts.closing import Closer, find_clock, set_zone
from gateway.accounts.history import Asked, Span, find_history
from gateway.errors import InvalidInput
from gateway.http.history_views import HistoryView, history_view
from gateway.portfolio.grid import Interval
from gateway.rows.accounts import Account
from gateway.rows.points import Point
from gateway.rows.snapshots import Begun
from gateway.store import points, snapshots
from gateway.store.pool import Pool
from tests.gateway.portfolio.test_history import content
from tests.system.test_sweeper import run
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("unpublished")


def midnight(days: int) -> datetime:
    """Return the midnight of UTC so many days ago."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days)


def day(ago: int) -> date:
    """Return the day that ended so many midnights before today's."""
    return (midnight(ago) - timedelta(hours=1)).date()


async def held(pool: Pool, account: Account, since: datetime, until: datetime, **amounts: str) -> None:
    """Begin a snapshot; the one before it was confirmed at `until` for the last time."""
    begun = Begun(
        account.id,
        account.user_id,
        UUID(int=int(since.timestamp())),
        since,
        until,
        7200,
        UUID(int=0),
        content(since, **amounts),  # type: ignore[arg-type] # the amounts only
    )
    async with pool.transaction() as connection:
        await snapshots.begin(connection, [begun])


async def overdue(database: Postgres, account: Account, ago: int, zone: str = "UTC") -> None:
    """Let the clock of a user stand so many midnights ago."""
    await run(
        database,
        """update user_clocks set zone = %s, next_day = %s, next_close_at = %s where user_id = %s""",
        zone,
        day(ago),
        midnight(ago),
        account.user_id,
    )


async def closed(database: Postgres) -> list[tuple[date, datetime]]:
    """Return the closed days."""
    return [(row[0], row[1]) for row in await run(database, "select day, at from closes order by day")]


@pytest.fixture(name="past")
async def _past(pool: Pool, account: Account, database: Postgres) -> Account:
    """Return an account that changed once, three days ago, and is old since a day and a half."""
    await run(database, "update accounts set created_at = now() - interval '30 days'")
    await held(pool, account, midnight(6), midnight(6), BTC="1")
    await held(pool, account, midnight(3), midnight(4) + timedelta(hours=23), BTC="2")
    await held(pool, account, midnight(1) - timedelta(minutes=1), midnight(2) - timedelta(hours=12), BTC="3")
    written = [
        Point("BTC", "okx", midnight(ago), Decimal(100 - ago), "cross", midnight(ago), None, "BTC-USDT")
        for ago in range(8)
    ]
    async with pool.transaction() as connection:
        await points.write(connection, written)
    await overdue(database, account, 7)
    return account


async def test_each_missed_day_is_closed_with_the_snapshot_and_prices_of_its_end(
    pool: Pool, past: Account, database: Postgres
) -> None:
    """Before the first snapshot nothing is known; what was not confirmed around midnight is stale."""
    await Closer(pool).close_due()

    span = Span(midnight(7), midnight(1), Interval.DAY)
    view = history_view(await find_history(pool, Asked(past.user_id), span), Interval.DAY)

    assert [(point.time, point.state.value, point.total_usd) for point in view.points] == [
        (midnight(7), "unknown", None),
        (midnight(6), "fresh", "94"),
        (midnight(5), "fresh", "95"),
        (midnight(4), "fresh", "96"),
        (midnight(3), "fresh", "194"),
        (midnight(2), "stale", "196"),
        (midnight(1), "fresh", "297"),
    ]
    assert view.points[5].as_of == midnight(2) - timedelta(hours=12)
    assert [row[0] for row in await closed(database)] == [day(ago) for ago in (6, 5, 4, 3, 2, 1, 0)]


async def test_a_close_has_the_price_by_hand_that_counted_at_its_end(
    pool: Pool, past: Account, database: Postgres
) -> None:
    """Not one that was set before or after."""
    await run(
        database,
        """insert into manual_price_spans (user_id, asset, since, until, value)
           values (%s, 'BTC', %s, %s, 5)""",
        past.user_id,
        midnight(5) - timedelta(hours=1),
        midnight(5) + timedelta(hours=1),
    )
    await Closer(pool).close_due()

    told = """select content #>> '{prices,BTC,method}', content #>> '{amounts,0,value}'
              from closes order by day"""
    assert await run(database, told) == [
        *[("cross", "94"), ("manual", "5"), ("cross", "96"), ("cross", "194")],
        *[("cross", "196"), ("cross", "297"), ("cross", "300")],
    ]


async def test_a_daily_history_reads_sums_and_no_contents(
    pool: Pool, past: Account, database: Postgres
) -> None:
    """It says what the contents say, which are read for a close of an earlier version."""
    span = Span(midnight(6), midnight(1), Interval.DAY)
    await Closer(pool).close_due()

    async def shown() -> HistoryView:
        return history_view(await find_history(pool, Asked(past.user_id, past.id), span), Interval.DAY)

    by_sums = await shown()
    await run(database, "create table kept as select account_id, day, content from closes")
    await run(database, "update closes set content = '{}'")
    assert await shown() == by_sums
    await run(
        database,
        """update closes set content = kept.content, sum = null from kept
           where (kept.account_id, kept.day) = (closes.account_id, closes.day)""",
    )
    await run(database, "drop table kept")
    assert await shown() == by_sums
    assert [each.total_usd for each in by_sums.points] == ["94", "95", "96", "194", "196", "297"]


async def test_a_day_without_a_close_is_carried_and_stale(
    pool: Pool, past: Account, database: Postgres
) -> None:
    """By the last close before it, also where the history begins after that one."""
    await Closer(pool).close_due()
    await run(database, "delete from closes where day = %s", day(5))

    span = Span(midnight(5), midnight(4), Interval.DAY)
    found = await find_history(pool, Asked(past.user_id), span)

    assert [(then.state.value, str(then.worth.balances_as_of)) for then, _ in found.points] == [
        ("stale", str(midnight(6))),
        ("fresh", str(midnight(4))),
    ]


async def test_a_close_never_changes(pool: Pool, past: Account, database: Postgres) -> None:
    """Not by later prices, snapshots or a clock that is set back."""
    await Closer(pool).close_due()
    before = await run(database, "select * from closes order by day")

    await run(database, "update price_points set value = 1")
    await overdue(database, past, 7)
    await Closer(pool).close_due()

    assert await run(database, "select * from closes order by day") == before


async def test_gateways_that_close_at_once_close_each_day_once(
    pool: Pool, past: Account, database: Postgres
) -> None:
    """A clock that one gateway has locked is left out by the others."""
    await asyncio.gather(*(Closer(pool).close_due() for _ in range(4)))

    assert [row[0] for row in await closed(database)] == [day(ago) for ago in (6, 5, 4, 3, 2, 1, 0)]
    assert (await find_clock(pool, past.user_id)).next_close_at > datetime.now(UTC)


async def test_a_day_that_another_gateway_closes_is_left_to_it(
    pool: Pool, past: Account, database: Postgres
) -> None:
    """This gateway does not wait for it."""
    async with await database.connect(SUPERUSER) as connection, connection.transaction():
        await connection.execute("select 1 from user_clocks for update")
        await asyncio.wait_for(Closer(pool).close_due(), 2)

    assert await closed(database) == []
    await Closer(pool).close_due()
    assert len(await closed(database)) == 7


async def test_a_new_zone_counts_from_the_next_midnight(
    pool: Pool, past: Account, database: Postgres
) -> None:
    """The day of the earlier zone ends first; no day is closed twice, and each has its own end."""
    await overdue(database, past, 2)
    await run(database, "update user_clocks set next_zone = 'Asia/Tokyo'")

    await Closer(pool).close_due()

    found = await closed(database)
    assert found[0] == (day(2), midnight(2))
    assert found[1] == (day(1), midnight(2) + timedelta(hours=15))
    clock = await find_clock(pool, past.user_id)
    assert (clock.zone, clock.next_zone) == ("Asia/Tokyo", None)


async def test_a_zone_is_set_and_waits_for_midnight(pool: Pool, past: Account) -> None:
    """The same zone again takes nothing back, and a name that is none is refused."""
    await Closer(pool).close_due()
    before = await find_clock(pool, past.user_id)

    changed = await set_zone(pool, past.user_id, "Europe/Berlin")
    again = await set_zone(pool, past.user_id, "UTC")

    assert (changed.zone, changed.next_zone) == ("UTC", "Europe/Berlin")
    assert changed.next_close_at == before.next_close_at
    assert again == before
    for name in ("Europe/Atlantis", "", "../zones", "europe/berlin", "UTC\0"):
        with pytest.raises(InvalidInput):
            await set_zone(pool, past.user_id, name)


async def test_a_day_that_can_not_be_closed_stops_no_other(
    pool: Pool, past: Account, database: Postgres
) -> None:
    """It is tried again in the next turn."""
    stranger = UUID(int=7)
    await run(
        database,
        "insert into user_clocks (user_id, next_day, next_close_at) values (%s, '9999-12-31', '2026-01-01Z')",
        stranger,
    )

    await Closer(pool).close_due()

    assert len(await closed(database)) == 7
    assert await run(database, "select next_day::text from user_clocks where user_id = %s", stranger)


async def test_a_deleted_account_has_no_closes(pool: Pool, past: Account, database: Postgres) -> None:
    """They are deleted with it."""
    await Closer(pool).close_due()

    await run(
        database,
        "update accounts set deleted_at = now(), credential_id = null where id = %s",
        past.id,
    )

    assert await closed(database) == []


async def test_an_account_that_is_deleted_during_the_close_has_none(
    pool: Pool, past: Account, database: Postgres
) -> None:
    """The close waits for the deletion, and then leaves the account out."""
    async with await database.connect(SUPERUSER) as connection:
        async with connection.transaction():
            await connection.execute(
                "update accounts set deleted_at = now(), credential_id = null where id = %s", [past.id]
            )
            closing = asyncio.create_task(Closer(pool).close_due())
            await until(lambda: _waits(database))
        await closing

    assert await closed(database) == []


async def _waits(database: Postgres) -> bool:
    return bool(await run(database, "select 1 from pg_stat_activity where wait_event_type = 'Lock'"))


async def test_a_deleted_user_has_no_clock(pool: Pool, past: Account, database: Postgres) -> None:
    """It stops at once."""
    await run(database, "insert into deleted_users (user_id) values (%s)", past.user_id)

    assert await run(database, "select 1 from user_clocks") == []
    assert (await find_clock(pool, past.user_id)).zone == "UTC"


async def test_weeks_end_with_sundays(pool: Pool, past: Account) -> None:
    """A point is that Sunday's close."""
    await Closer(pool).close_due()

    span = Span(midnight(6), midnight(0), Interval.WEEK)
    found = await find_history(pool, Asked(past.user_id), span)

    assert [(then.time - timedelta(hours=1)).isoweekday() for then, _ in found.points] == [7]
    assert all(then.worth.total is not None for then, _ in found.points)

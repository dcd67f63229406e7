"""Syncs are deleted after 90 days, and how many ended on each day stays known."""

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from deploy.local.postgres import Postgres
from gateway.errors import InvalidInput, NotFound
from gateway.housekeeping import DELETIONS, Housekeeper
from gateway.rows.accounts import Account
from gateway.rows.syncs import SyncDay
from gateway.store import retention
from gateway.store.pool import Pool
from gateway.store.users import User
from gateway.syncs.look import list_days
from tests.system.test_sweeper import run

# The identifier begins with the time of the request, as that of a UUIDv7 does.
SYNC = """insert into syncs (id, user_id, account_id, exchange, status, requested_at, deadline, finished_at)
    select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0')
            || '7abc8' || substr(md5(random()::text), 1, 15))::uuid,
        user_id, id, exchange, %s, at, at + interval '2 minutes',
        case when %s = 'queued' then null else at end
    from accounts, (select now() - %s::interval as at) as moment where id = %s returning id::text"""
FROM = date(2000, 1, 1)


async def inserted(database: Postgres, account: Account, status: str, age: str) -> str:
    """Insert a sync of some age; returns its id."""
    ((sync_id,),) = await run(database, SYNC, status, status, age, account.id)
    return str(sync_id)


async def ages(database: Postgres) -> Counter[str]:
    """Return how many syncs are left, by status."""
    return Counter(status for (status,) in await run(database, "select status from syncs"))


async def days(pool: Pool, account: Account) -> list[SyncDay]:
    """Return the counts of the last 366 days."""
    last = datetime.now(UTC).date()
    return await list_days(pool, account.user_id, account.id, last - timedelta(days=365), last)


async def test_a_sync_is_deleted_after_90_days_and_its_day_stays_counted(
    pool: Pool, database: Postgres, account: Account
) -> None:
    """The counts of the days are the same before and after, and no younger or open sync is deleted."""
    for status, age in (
        ("completed", "90 days 1 minute"),
        ("completed", "120 days"),
        ("partial", "120 days"),
        ("failed", "120 days"),
        ("failed", "300 days"),
        ("queued", "120 days"),
        ("completed", "89 days 23:59"),
        ("failed", "1 minute"),
    ):
        await inserted(database, account, status, age)
    before = await days(pool, account)

    await Housekeeper(pool).keep()

    assert await ages(database) == {"completed": 1, "failed": 1, "queued": 1}
    assert await days(pool, account) == before
    today = datetime.now(UTC).date()
    assert sum(day.completed + day.partial + day.failed for day in before) == 7
    assert SyncDay(today - timedelta(days=120), 1, 1, 1) in before


async def test_counts_grow_while_a_day_is_deleted_in_parts(
    pool: Pool, database: Postgres, account: Account
) -> None:
    """A batch deletes no more than its limit, so that its locks are short."""
    for _ in range(5):
        await inserted(database, account, "completed", "100 days")

    deleted = [await pool.single(lambda one: retention.delete_old_syncs(one, 2)) for _ in range(4)]

    assert deleted == [2, 2, 1, 0]
    assert [day.completed for day in await days(pool, account)] == [5]


async def test_gateways_that_delete_at_once_count_each_sync_once(
    pool: Pool, database: Postgres, account: Account
) -> None:
    """None waits for another: rows that one deletes are skipped by the others."""
    for _ in range(40):
        await inserted(database, account, "completed", "100 days")

    deleted = await asyncio.gather(
        *(pool.single(lambda one: retention.delete_old_syncs(one, 7)) for _ in range(8))
    )
    await Housekeeper(pool).keep()

    assert sum(deleted) <= 40
    assert await ages(database) == {}
    assert [day.completed for day in await days(pool, account)] == [40]


async def test_a_sync_of_a_batch_stays_as_long_as_the_batch(
    pool: Pool, database: Postgres, account: Account
) -> None:
    """A young batch keeps its syncs; an old one is deleted with them."""
    old = await inserted(database, account, "completed", "91 days")
    young = UUID(int=UUID(old).int + (3 * 86_400_000 << 80))
    for batch in (old, young):
        await run(database, "insert into sync_batches (id, user_id) values (%s, %s)", batch, account.user_id)
        await run(database, "insert into sync_batch_members values (%s, %s)", batch, old)

    await Housekeeper(pool).keep()
    kept = await run(database, "select batch_id::text, sync_id::text from sync_batch_members")
    await run(database, "delete from sync_batches where id = %s", young)
    await Housekeeper(pool).keep()

    assert kept == [(str(young), old)]
    assert await ages(database) == {}


async def test_one_turn_deletes_all_that_has_expired(pool: Pool, database: Postgres, user: User) -> None:
    """In several batches."""
    await run(
        database,
        """insert into idempotency_keys
           select id, n::text, '', id, now() - interval '2 days' from users, generate_series(1, 1200) n
           where id = %s""",
        user.id,
    )

    await Housekeeper(pool).keep()

    assert await run(database, "select 1 from idempotency_keys") == []


async def test_a_failed_deletion_does_not_stop_the_others(
    pool: Pool, database: Postgres, account: Account
) -> None:
    """Each table is a part of its own."""
    assert list(DELETIONS)[-1] == "syncs"
    await inserted(database, account, "completed", "100 days")
    await run(database, "alter table known_networks rename to elsewhere")
    try:
        await Housekeeper(pool).keep()
    finally:
        await run(database, "alter table elsewhere rename to known_networks")

    assert await ages(database) == {}


@pytest.mark.parametrize(
    ("first", "last"),
    [(date(2026, 1, 2), date(2026, 1, 1)), (date(2025, 1, 1), date(2026, 1, 2)), (FROM, None)],
)
async def test_a_range_of_days_is_bounded(
    pool: Pool, account: Account, first: date, last: date | None
) -> None:
    """A range that is empty or longer than 366 days is refused with words."""
    with pytest.raises(InvalidInput) as refused:
        await list_days(pool, account.user_id, account.id, first, last)
    assert "Ask for a range of 1 to 366 days" in refused.value.detail


async def test_the_first_and_last_days_of_all_are_days(pool: Pool, account: Account) -> None:
    """The ends of the calendar are no error of ours."""
    for day in (date.min, date.max - timedelta(days=1), date.max):
        assert await list_days(pool, account.user_id, account.id, day, day) == []
    assert await list_days(pool, account.user_id, account.id, None, date.min) == []


async def test_another_users_days_are_not_shown(pool: Pool, account: Account) -> None:
    """As if the account did not exist."""
    with pytest.raises(NotFound):
        await list_days(pool, UUID(int=1), account.id, None, None)


async def partitions(database: Postgres, table: str) -> list[str]:
    """Return the names of a table's partitions."""
    rows = await run(
        database, "select inhrelid::regclass::text from pg_inherits where inhparent = %s::regclass", table
    )
    return sorted(str(name) for (name,) in rows)


async def test_partitions_are_there_before_their_time(pool: Pool, database: Postgres) -> None:
    """Those of the next three months, or years of closes; several gateways add each once."""
    month = datetime.now(UTC).replace(day=1)
    named = [f"{(month + timedelta(days=31 * ahead)).replace(day=1):%Y_%m}" for ahead in range(4)]
    months = [f"{table}_{name}" for table in ("snapshots", "price_points") for name in named]
    for name in (*months[3:4], *months[7:8], f"closes_{month.year + 3}"):
        await run(database, f"drop table if exists {name}")

    await asyncio.gather(*(Housekeeper(pool).keep() for _ in range(3)))
    await Housekeeper(pool).keep()

    assert {*months[:4]} <= {*await partitions(database, "snapshots")}
    assert {*months[4:]} <= {*await partitions(database, "price_points")}
    assert f"closes_{month.year + 3}" in await partitions(database, "closes")


async def test_months_that_ended_120_days_ago_are_dropped(pool: Pool, database: Postgres) -> None:
    """Younger ones stay, and so do closes of any age."""
    await run(database, "drop table snapshots_2026_11")
    await run(
        database,
        "create table snapshots_2025_01 partition of snapshots for values from (minvalue) to ('2025-02-01Z')",
    )
    try:
        await Housekeeper(pool).keep()
        left = await partitions(database, "snapshots")
    finally:
        await run(database, "drop table if exists snapshots_2025_01")
        await run(
            database,
            """create table snapshots_2026_11 partition of snapshots
               for values from (minvalue) to ('2026-12-01Z')""",
        )

    assert "snapshots_2025_01" not in left
    assert {"snapshots_2026_12", "snapshots_later"} <= {*left}
    assert "closes_before" in await partitions(database, "closes")


async def test_a_table_that_is_in_use_gets_its_partition_later(pool: Pool, database: Postgres) -> None:
    """Statements that wait behind the change would wait for the long one, too; so it gives up."""
    name = f"closes_{datetime.now(UTC).year + 3}"
    await run(database, f"drop table if exists {name}")
    async with pool.transaction() as other:
        await other.execute("select from closes")
        await Housekeeper(pool).keep()
    missing = name not in await partitions(database, "closes")
    await Housekeeper(pool).keep()

    assert missing
    assert name in await partitions(database, "closes")

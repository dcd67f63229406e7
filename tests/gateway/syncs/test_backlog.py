"""A metric has the age of the oldest waiting item, and long waits show as degraded."""

import math
from datetime import UTC, datetime

import pytest

from chassis import metrics
from chassis.health import Check
from contracts.faults import Code
from deploy.local.ports import free_ports
from deploy.local.postgres import GATEWAY, Postgres
from gateway.rows.accounts import Account
from gateway.store import outbox
from gateway.store.pool import Pool, execute
from gateway.syncs.backlog import OUTBOX_SECONDS, Backlog
from gateway.syncs.messages import account_synced, failed_outcome
from tests.gateway.conftest import opened

DEADLINE = 120.0


def oldest(stream: str) -> float:
    """Return the metric of a stream."""
    found = metrics.REGISTRY.get_sample_value("butler_outbox_oldest_seconds", {"stream": stream})
    assert found is not None
    return found


def queued() -> float:
    """Return the metric of syncs."""
    found = metrics.REGISTRY.get_sample_value("butler_sync_queued_oldest_seconds")
    assert found is not None
    return found


async def passing(checks: dict[str, Check]) -> set[str]:
    """Return the names of the checks that pass."""
    return {name for name, check in checks.items() if await check()}


async def test_nothing_waits(pool: Pool) -> None:
    """Every stream has its metric from the start, at zero."""
    backlog = Backlog(pool, DEADLINE)

    await backlog.sample()

    assert {oldest(name) for name in ("SYNC_REQUESTS", "SYNC_OUTCOMES", "ACCOUNT_EVENTS")} == {0}
    assert queued() == 0
    assert await passing(backlog.checks()) == {"outbox", "syncs"}


@pytest.mark.parametrize(("age", "passes"), [(OUTBOX_SECONDS - 5, True), (OUTBOX_SECONDS + 1, False)])
async def test_one_stream_that_takes_nothing_shows(
    pool: Pool, account: Account, age: float, *, passes: bool
) -> None:
    """Its metric is the age of its oldest row; those of the other streams do not change."""
    backlog, sync = Backlog(pool, DEADLINE), await opened(pool, account)
    async with pool.transaction() as connection:
        await outbox.put(connection, account_synced(sync, datetime.now(UTC)))
        await execute(
            connection, "update outbox set created_at = now() - make_interval(secs => %(age)s)", age=age
        )
        await outbox.put(connection, failed_outcome(sync, Code.INTERNAL_ERROR))

    await backlog.sample()

    assert age <= oldest("ACCOUNT_EVENTS") < age + 5
    assert 0 <= oldest("SYNC_OUTCOMES") < 5
    assert oldest("SYNC_REQUESTS") == 0
    assert ("outbox" in await passing(backlog.checks())) is passes


@pytest.mark.parametrize(("age", "passes"), [(DEADLINE / 2 - 5, True), (DEADLINE / 2 + 1, False)])
async def test_a_sync_that_waits_for_long_shows(
    pool: Pool, account: Account, age: float, *, passes: bool
) -> None:
    """It is degraded from half of the deadline on; a sync with an outcome does not wait."""
    backlog = Backlog(pool, DEADLINE)
    await opened(pool, account)
    async with pool.transaction() as connection:
        await execute(
            connection, "update syncs set requested_at = now() - make_interval(secs => %(age)s)", age=age
        )

    await backlog.sample()
    assert age <= queued() < age + 5
    assert ("syncs" in await passing(backlog.checks())) is passes

    async with pool.transaction() as connection:
        await execute(connection, "update syncs set status = 'failed', finished_at = now()")
    await backlog.sample()
    assert queued() == 0
    assert "syncs" in await passing(backlog.checks())


async def test_what_can_not_be_read_is_no_number(clean_database: Postgres) -> None:
    """Without the database the ages are NaN, not the previous ones; a separate check reports the database."""
    (port,) = free_ports(1)
    url = clean_database.url(GATEWAY).replace(str(clean_database.port), str(port))
    pool = Pool(url, "")
    await pool.start()
    backlog = Backlog(pool, DEADLINE)

    await backlog.sample()
    await pool.stop()

    assert math.isnan(oldest("SYNC_REQUESTS"))
    assert math.isnan(queued())
    assert await passing(backlog.checks()) == {"outbox", "syncs"}


async def test_a_day_that_is_not_closed_shows(pool: Pool, account: Account) -> None:
    """Its metric is how long the oldest one could have been closed; 0 while all are."""
    clock = """insert into user_clocks (user_id, next_day, next_close_at)
               values (%(id)s, '2026-01-01', now() - make_interval(secs => %(age)s))
               on conflict (user_id) do update set next_close_at = excluded.next_close_at"""
    for age, least, most in ((200, 0, 0), (400, 100, 110)):
        async with pool.transaction() as connection:
            await execute(connection, clock, id=account.user_id, age=age)
        await Backlog(pool, DEADLINE).sample()
        overdue = metrics.REGISTRY.get_sample_value("butler_days_overdue_seconds")
        assert overdue is not None
        assert least <= overdue <= most


async def test_a_late_schedule_shows(pool: Pool, account: Account) -> None:
    """Its metric is how long the account that is due the longest has waited; 0 while none is due."""
    backlog = Backlog(pool, DEADLINE)
    late = """update schedule set next_at = now() - make_interval(secs => 90) where account_id = %(id)s"""
    for change, least, most in (("select %(id)s::uuid", 0, 0), (late, 90, 100)):
        async with pool.transaction() as connection:
            await execute(connection, change, id=account.id)
        await backlog.sample()
        overdue = metrics.REGISTRY.get_sample_value("butler_schedule_overdue_seconds")
        assert overdue is not None
        assert least <= overdue <= most
    await Backlog(pool, DEADLINE, scheduling=False).sample()
    assert metrics.REGISTRY.get_sample_value("butler_schedule_overdue_seconds") == 0

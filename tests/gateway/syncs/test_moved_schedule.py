"""Outcomes, keys and users move the schedule of an account in the database."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from uuid_utils.compat import uuid7

from contracts.faults import Code
from contracts.syncs import SyncFailed
from deploy.local.postgres import Postgres
from gateway.accounts.change import Changes, change
from gateway.accounts.look import find_schedules
from gateway.errors import InvalidInput, NotFound
from gateway.rows.accounts import Account
from gateway.rows.schedules import Schedule
from gateway.rows.syncs import Sync
from gateway.store import accounts, syncs
from gateway.store.pool import Pool
from tests.gateway.accounts.test_pause import READ_ONLY, TRADING, becoming_live, replaced, synced
from tests.gateway.conftest import opened
from tests.gateway.syncs.recorded import recorded
from tests.gateway.syncs.test_recorder import another
from tests.system.test_sweeper import run

pytestmark = pytest.mark.usefixtures("unpublished")
HOUR = 3600


async def schedule_of(pool: Pool, account: Account) -> Schedule:
    """Return the schedule of an account."""
    return (await find_schedules(pool, [account.id]))[account.id]


async def due_in(database: Postgres, account: Account) -> float:
    """Return in how many seconds an account is due."""
    query = "select extract(epoch from next_at - now())::float8 from schedule where account_id = %s"
    ((seconds,),) = await run(database, query, account.id)
    return float(str(seconds))


async def scheduled(pool: Pool, database: Postgres, account: Account) -> Sync:
    """Open a sync as the schedule does."""
    sync = await opened(pool, account)
    await run(database, "insert into scheduled_syncs values (%s)", sync.id)
    return sync


async def failing(pool: Pool, sync: Sync, code: Code) -> None:
    """Record that a sync failed."""
    await recorded(pool, SyncFailed(sync.id, sync.account_id, "okx", code, "it failed"))


async def test_an_account_is_scheduled_from_its_connection_to_its_deletion(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """Whichever version of the gateway connects and deletes it; the first sync is due in an hour."""
    other = await another(pool, account, 1)
    assert 0.85 * HOUR <= await due_in(database, other) <= 1.1 * HOUR

    async with pool.transaction() as connection:
        await accounts.delete_account(connection, other.id)

    assert await run(database, "select account_id from schedule") == [(account.id,)]


async def test_failures_wait_longer_and_a_success_ends_that(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """Two failed syncs of the schedule wait four times as long; then the account is due within an hour."""
    for failures in (1, 2):
        await failing(pool, await scheduled(pool, database, account), Code.EXCHANGE_TIMEOUT)
        wanted = HOUR * 2**failures
        assert (await schedule_of(pool, account)).failures == failures
        assert 0.85 * wanted <= await due_in(database, account) <= 1.15 * wanted

    await synced(pool, account, READ_ONLY)

    assert (await schedule_of(pool, account)).failures == 0
    assert await due_in(database, account) <= 1.1 * HOUR


async def test_a_closed_exchange_says_when_its_syncs_are_due(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """The account is due then, and the sync shows the time."""
    sync = await scheduled(pool, database, account)
    said = SyncFailed(sync.id, account.id, "okx", Code.RATE_LIMITED, "closed", retry_after=7200.0)

    await recorded(pool, said)

    async with pool.transaction() as connection:
        (shown,) = await syncs.list_syncs(connection, account.id, None, 1)
        found = await syncs.find_with_stand(connection, account.user_id, sync.id)
    assert found is not None
    assert shown.finished_at is not None
    assert shown.retry_at == found[0].retry_at == shown.finished_at + timedelta(hours=2)
    assert 7190 <= await due_in(database, account) <= 7200 + HOUR / 10
    assert (await schedule_of(pool, account)).failures == 1


async def test_a_fault_of_the_key_stops_the_schedule_until_another_key_is_there(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """Also where a gateway of the version before takes the key: the account is due in a minute."""
    await failing(pool, await opened(pool, account), Code.KEY_UNKNOWN)
    stopped = await schedule_of(pool, account)
    assert (stopped.stopped, stopped.next_at) == (Code.KEY_UNKNOWN, None)

    await replaced(pool, account)

    assert (await schedule_of(pool, account)).stopped is None
    assert 40 <= await due_in(database, account) <= 70


async def test_a_fault_of_the_key_before_stops_nothing(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """A sync that was open when the key was replaced says nothing about the new one."""
    sync = await scheduled(pool, database, account)
    await replaced(pool, account)

    await failing(pool, sync, Code.KEY_UNKNOWN)

    assert (await schedule_of(pool, account)).stopped is None


async def test_a_fault_of_the_key_before_stops_nothing_while_the_new_one_is_verified(
    pool: Pool, account: Account
) -> None:
    """Its sync was opened after the new credential was sent, and failed after the new key was in use."""
    async with becoming_live(pool, account):
        sync = await opened(pool, account)

    await failing(pool, sync, Code.KEY_UNKNOWN)

    assert (await schedule_of(pool, account)).stopped is None


async def test_a_sync_of_a_person_that_completes_ends_a_stop(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """The key works again, for example because the user has corrected its IP allow-list."""
    await failing(pool, await opened(pool, account), Code.KEY_UNKNOWN)

    await synced(pool, account, READ_ONLY)

    assert (await schedule_of(pool, account)).stopped is None
    assert 0.85 * HOUR <= await due_in(database, account) <= 1.1 * HOUR


async def test_a_pause_is_no_stop(pool: Pool, account: Account) -> None:
    """A key with too many rights pauses its account; when the pause ends, the schedule goes on."""
    await synced(pool, account, TRADING)

    paused = await schedule_of(pool, account)
    assert (paused.stopped, paused.next_at is None) == (None, False)


async def test_a_user_sets_the_interval_and_turns_the_schedule_off_and_on(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """A shorter interval is due sooner, and each change is in the audit."""

    async def set_to(seconds: int | None) -> Schedule:
        changed = await change(pool, account.user_id, account.id, Changes(sync_interval=seconds))
        assert changed.account.name == account.name
        assert changed.schedule is not None
        return changed.schedule

    assert (await set_to(300)).interval_seconds == 300
    assert await due_in(database, account) <= 330
    assert (await set_to(86400)).interval_seconds == 86400
    assert await due_in(database, account) <= 330
    off = await set_to(None)
    assert (off.interval_seconds, off.next_at) == (None, None)
    assert (await set_to(86400)).next_at is not None
    audited = "select detail->>'seconds' from audit where action = 'account_scheduled' order by id"
    assert await run(database, audited) == [("300",), ("86400",), (None,), ("86400",)]


async def test_a_stopped_schedule_is_not_started_by_another_interval(pool: Pool, account: Account) -> None:
    """Only a key that works does."""
    await failing(pool, await opened(pool, account), Code.KEY_UNKNOWN)

    await change(pool, account.user_id, account.id, Changes(sync_interval=300))

    stopped = await schedule_of(pool, account)
    assert (stopped.stopped, stopped.interval_seconds, stopped.next_at) == (Code.KEY_UNKNOWN, 300, None)


async def test_a_change_of_nothing_or_of_another_s_account_is_refused(pool: Pool, account: Account) -> None:
    """The schedule stays."""
    before = await schedule_of(pool, account)

    with pytest.raises(InvalidInput):
        await change(pool, account.user_id, account.id, Changes())
    for user_id, account_id in ((uuid4(), account.id), (account.user_id, uuid7())):
        with pytest.raises(NotFound):
            await change(pool, user_id, account_id, Changes(sync_interval=300))

    assert await schedule_of(pool, account) == before


async def test_a_row_of_the_schedule_is_narrow(pool: Pool, account: Account) -> None:
    """It is changed by each sync, so it holds nothing that the account's row has."""
    kept: dict[str, Any] = msgspec.structs.asdict(await schedule_of(pool, account))

    assert isinstance(kept.pop("next_at"), datetime)
    assert kept == {
        "account_id": UUID(str(account.id)),
        "interval_seconds": HOUR,
        "failures": 0,
        "stopped": None,
        "exchange_paused": False,
    }

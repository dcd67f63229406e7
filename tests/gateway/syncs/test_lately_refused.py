"""A sync asks no more for wallets that the exchange refused, until a day after it or until a change."""

from datetime import UTC, datetime, timedelta

import pytest
from uuid_utils.compat import uuid7

from contracts.faults import Code
from contracts.syncs import SyncCompleted, status_of
from contracts.wire.grants import Grant, sync_purpose
from deploy.local.nats import Nats
from deploy.local.postgres import Postgres
from gateway.accounts.pause import pause_found, resume
from gateway.accounts.rights import Finding
from gateway.rows.accounts import Account
from gateway.store import accounts, credentials
from gateway.store.pool import Pool
from gateway.syncs.record import Together, record
from tests.gateway.conftest import opened
from tests.gateway.syncs.omitting import FUTURES, synced, usual
from tests.gateway.syncs.opening import WAYS, opened_by
from tests.gateway.syncs.recorded import failed
from tests.system.test_sweeper import run

pytestmark = pytest.mark.usefixtures("unpublished")
REFUSED = (FUTURES, "coinm_futures")


async def aged(database: Postgres, hours: float) -> None:
    """Let the exchange have refused wallets so many hours ago."""
    await run(
        database,
        """update account_wallets set detail = jsonb_set(detail, '{omitted,refused_at}',
               to_jsonb(now() - make_interval(secs => %s)))
           where detail -> 'omitted' ->> 'refused_at' is not null""",
        hours * 3600,
    )


async def aged_more(database: Postgres, hours: float) -> None:
    """Let refusals be so many hours older."""
    await run(
        database,
        """update account_wallets set detail = jsonb_set(detail, '{omitted,refused_at}',
               to_jsonb((detail -> 'omitted' ->> 'refused_at')::timestamptz - make_interval(secs => %s)))
           where detail -> 'omitted' ->> 'refused_at' is not null""",
        hours * 3600,
    )


async def new_key(pool: Pool, account: Account) -> None:
    """Give an account another credential."""
    async with pool.transaction() as connection:
        key = uuid7()
        await credentials.insert_pending(connection, key, account.user_id, "binance")
        await accounts.set_credential(connection, account.id, key)


@pytest.mark.parametrize("by", WAYS)
async def test_each_way_to_open_a_sync_names_the_refused_wallets(
    pool: Pool, nats: Nats, binance: Account, database: Postgres, by: str
) -> None:
    """A worker asks for these no more; others that are left out cost no read."""
    await synced(pool, binance)

    assert (await opened_by(by, pool, nats, binance, database)).lately_refused == REFUSED


async def test_answers_that_repeat_a_refusal_do_not_move_its_time(
    pool: Pool, nats: Nats, binance: Account, database: Postgres
) -> None:
    """A day after the exchange refused the wallet, a sync asks for it again, however many came between."""
    await synced(pool, binance)
    await aged(database, 23.9)
    await synced(pool, binance)
    await aged_more(database, 0.2)

    assert (await opened_by("a person", pool, nats, binance, database)).lately_refused == ()


async def test_a_new_refusal_counts_for_a_day_again(
    pool: Pool, nats: Nats, binance: Account, database: Postgres
) -> None:
    """The sync that asked after a day keeps the next ones from asking."""
    await synced(pool, binance)
    await aged(database, 24.1)
    await synced(pool, binance)

    assert (await opened_by("a person", pool, nats, binance, database)).lately_refused == REFUSED


@pytest.mark.parametrize("by", ["a new key", "a verification", "a later time", "another fault"])
async def test_the_exchange_is_asked_again_when_something_may_have_changed(
    pool: Pool, nats: Nats, binance: Account, database: Postgres, by: str
) -> None:
    """A refusal is of one key, and a verified one may have other rights; a clock may have been set back."""
    await synced(pool, binance)

    match by:
        case "a new key":
            await new_key(pool, binance)
        case "a verification":
            async with pool.transaction() as connection:
                await pause_found(connection, binance, Finding(Code.UNKNOWN_RIGHT, ("enableMagic",)))
                await resume(connection, binance)
        case "a later time":
            await aged(database, -1)
        case _:
            await synced(pool, binance, failed(FUTURES), failed("coinm_futures"))

    assert (await opened_by("a person", pool, nats, binance, database)).lately_refused == ()


async def test_what_an_old_key_was_refused_says_nothing_of_the_new_one(
    pool: Pool, nats: Nats, binance: Account, database: Postgres
) -> None:
    """The key may be replaced while a sync reads with the old one: its outcome keeps nothing from the new."""
    sync, old = await opened(pool, binance), binance.credential_id
    assert old is not None
    await new_key(pool, binance)
    wallets = usual()
    said = SyncCompleted(sync.id, binance.id, "binance", status_of(wallets), wallets)
    grant = Grant(old, "binance", sync_purpose(sync.id), datetime.now(UTC) + timedelta(minutes=2))
    async with pool.transaction() as connection:
        assert await record(connection, said, Together(), grant) is not None

    assert (await opened_by("a person", pool, nats, binance, database)).lately_refused == ()


async def test_the_first_refusal_of_a_new_key_has_its_own_time(
    pool: Pool, nats: Nats, binance: Account, database: Postgres
) -> None:
    """The time of the old key would let each sync ask, until a day after it."""
    await synced(pool, binance)
    await aged(database, 10)
    await new_key(pool, binance)
    await synced(pool, binance)
    await aged_more(database, 20)

    assert (await opened_by("a person", pool, nats, binance, database)).lately_refused == REFUSED

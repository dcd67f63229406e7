"""A sync that changes what an account holds begins a snapshot; any other writes nothing of it."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from contracts.events import PortfolioChanged
from contracts.syncs import Verdict, WalletRead
from contracts.values import Balance
from deploy.local.postgres import Postgres
from gateway.prices.look import set_by_hand
from gateway.prices.readings import Readings
from gateway.rows.accounts import Account
from gateway.rows.snapshots import Content
from gateway.store import accounts
from gateway.store.pool import Connection, Pool
from gateway.syncs.record import record
from tests.gateway.conftest import opened
from tests.gateway.prices.test_readings import claimed, delivery, reading
from tests.gateway.syncs.recorded import failed, outcome, recorded
from tests.gateway.syncs.test_recorder import another
from tests.system.test_sweeper import run

pytestmark = pytest.mark.usefixtures("unpublished")
COUNTS = "select (select count(*) from open_snapshots), (select count(*) from snapshots)"
LONG_AGO = "update account_wallets set as_of = as_of - interval '3 hours'"


def read(wallet: str, **amounts: str) -> WalletRead:
    """Return a wallet that was read just now."""
    listed = tuple(Balance(asset, Decimal(amount)) for asset, amount in amounts.items())
    return WalletRead(wallet, Verdict.COMPLETE, datetime.now(UTC), listed)


async def synced(pool: Pool, account: Account, *reads: WalletRead) -> None:
    """Record a sync of an account."""
    assert await recorded(pool, outcome(await opened(pool, account), *reads)) is not None


async def counts(database: Postgres) -> tuple[Any, ...]:
    """Count the snapshots that hold, and those that have ended."""
    (found,) = await run(database, COUNTS)
    return found


async def held(database: Postgres) -> Content:
    """Return the only snapshot that holds."""
    ((content,),) = await run(database, "select content::text from open_snapshots")
    return msgspec.json.decode(str(content), type=Content)


async def written(connection: Connection) -> dict[str, int]:
    """Return how many rows of snapshots this transaction has written, and how often it looked at prices."""
    cursor = await connection.execute(
        """select relname, n_tup_ins + n_tup_upd + n_tup_del + seq_scan + coalesce(idx_scan, 0)
           from pg_stat_xact_user_tables
           where relname like 'snapshots%' or relname in ('manual_prices', 'price_readings')"""
    )
    found = dict(await cursor.fetchall())
    cursor = await connection.execute(
        """select n_tup_ins + n_tup_upd + n_tup_del from pg_stat_xact_user_tables
           where relname = 'open_snapshots'"""
    )
    ((found["open_snapshots"],),) = await cursor.fetchall()
    return {name: count for name, count in found.items() if count}


async def test_an_unchanged_sync_writes_nothing(pool: Pool, account: Account, database: Postgres) -> None:
    """Nor does it look at prices."""
    await synced(pool, account, read("trading", BTC="1"), read("funding", BTC="2"))
    sync = await opened(pool, account)

    async with pool.transaction() as connection:
        await record(connection, outcome(sync, read("trading", BTC="1.0"), read("funding", BTC="2")))
        assert await written(connection) == {}

    assert await counts(database) == (1, 0)


async def test_a_change_ends_one_snapshot_and_begins_another(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """The ended one says until when it was confirmed, and may not be changed by a gateway."""
    await synced(pool, account, read("trading", BTC="1"), read("funding", BTC="2"))
    confirming = read("trading", BTC="1"), read("funding", BTC="2")
    await synced(pool, account, *confirming)

    await synced(pool, account, read("trading", BTC="1.5"), read("funding", BTC="2"))

    ended = """select snapshots.until, content->'amounts'->0->>'quantity', fresh_seconds from snapshots"""
    assert await run(database, ended) == [(confirming[0].as_of, "2", 7200)]
    quantities = {each.wallet: str(each.quantity) for each in (await held(database)).amounts}
    assert quantities == {"trading": "1.5", "funding": "2"}
    right = "select has_table_privilege('butler_gateway', 'snapshots', 'update')"
    assert await run(database, right) == [(False,)]


async def test_a_change_of_prices_alone_writes_none(pool: Pool, account: Account, database: Postgres) -> None:
    """A snapshot has the prices that counted when it began, with their method and source."""
    await claimed(pool)
    await Readings(pool).on_prices_read(delivery(reading("150", ago=2)))
    await set_by_hand(pool, account.user_id, "HOUSE", "0.25")
    reads = [read("trading", SOL="2", HOUSE="4"), read("funding", ODD="1")]
    await synced(pool, account, *reads)
    await Readings(pool).on_prices_read(delivery(reading("160")))

    await synced(pool, account, *reads)

    assert await counts(database) == (1, 0)
    content = await held(database)
    values = {each.asset: each.value for each in content.amounts}
    assert values == {"SOL": Decimal(300), "HOUSE": Decimal(1), "ODD": None}
    prices = {asset: (each.method, each.source) for asset, each in content.prices.items()}
    assert prices == {"SOL": ("cross", "okx"), "HOUSE": ("manual", "user"), "ODD": (None, None)}


async def test_a_snapshot_keeps_the_exchange_s_own_valuation(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """Where no other price is known, with its method and the time of its list; the closes copy it."""
    trading = msgspec.structs.replace(read("trading", OLDT="4", ODD="1"), prices={"OLDT": Decimal("0.25")})
    await synced(pool, account, trading, read("funding", OLDT="2"))

    content = await held(database)

    assert {(each.wallet, each.asset): each.value for each in content.amounts} == {
        ("trading", "OLDT"): Decimal("1.00"),
        ("funding", "OLDT"): Decimal("0.50"),
        ("trading", "ODD"): None,
    }
    price = content.prices["OLDT"]
    assert (price.method, price.source, price.observed_at) == ("exchange_valued", "okx", trading.as_of)


async def test_a_failed_wallet_changes_no_quantity(pool: Pool, account: Account, database: Postgres) -> None:
    """The new snapshot says that the wallet is stale, since when, and why."""
    trading = read("trading", BTC="1")
    await synced(pool, account, trading, read("funding", BTC="2"))

    await synced(pool, account, failed("trading"), read("funding", BTC="2"))

    assert await counts(database) == (1, 1)
    content = await held(database)
    assert {each.wallet: str(each.quantity) for each in content.amounts} == {"trading": "1", "funding": "2"}
    (stale,) = [each for each in content.wallets if each.state == "stale"]
    assert (stale.wallet, stale.as_of, stale.error_code) == ("trading", trading.as_of, "exchange_timeout")


async def test_a_hole_is_visible(pool: Pool, account: Account, database: Postgres) -> None:
    """An account that nobody read for hours begins a new snapshot, though it holds the same."""
    await synced(pool, account, read("trading", BTC="1"), read("funding"))
    await run(database, LONG_AGO)
    await run(database, "update open_snapshots set since = since - interval '3 hours'")

    await synced(pool, account, read("trading", BTC="1"), read("funding"))

    assert await counts(database) == (1, 1)
    hole = "select min(open_snapshots.since - until) > interval '2 hours' from snapshots, open_snapshots"
    assert await run(database, hole) == [(True,)]


async def test_an_account_of_the_release_before_gets_its_first(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """Its next sync begins one, even if that fails; an account that was never read has none."""
    await synced(pool, account, read("trading", BTC="1"), read("funding"))
    await run(database, "delete from open_snapshots")
    never = await another(pool, account, 1)

    await synced(pool, account, failed("trading"), failed("funding"))
    await synced(pool, never, failed("trading"), failed("funding"))

    assert await counts(database) == (1, 0)
    assert [each.state for each in (await held(database)).wallets][:2] == ["stale", "stale"]


async def test_two_gateways_record_at_once(pool: Pool, account: Account, database: Postgres) -> None:
    """Of many changes of one account each begins one snapshot, in the order of their syncs."""
    for amount in range(1, 4):
        sync = await opened(pool, account)
        said = outcome(sync, read("trading", BTC=str(amount)), read("funding"))
        both = await asyncio.gather(recorded(pool, said), recorded(pool, said))
        assert sorted(each is None for each in both) == [False, True]

    assert await counts(database) == (1, 2)
    order = "select content->'amounts'->0->>'quantity' from snapshots order by since"
    assert await run(database, order) == [("1",), ("2",)]


async def test_they_are_deleted_with_their_account(pool: Pool, account: Account, database: Postgres) -> None:
    """Those that have ended, too; a gateway that does not know them deletes them as well."""
    other = await another(pool, account, 1)
    for each in (account, other):
        await synced(pool, each, read("trading", BTC="1"), read("funding"))
        await synced(pool, each, read("trading", BTC="2"), read("funding"))
    assert await counts(database) == (2, 2)

    async with pool.transaction() as connection:
        await accounts.delete_account(connection, account.id)

    assert await counts(database) == (1, 1)


async def test_a_change_is_published_with_its_cause(pool: Pool, account: Account, database: Postgres) -> None:
    """Once, with the old and the new sum of all wallets; a move, a failure and a repeat publish nothing."""
    await synced(pool, account, read("trading", BTC="1"), failed("funding"))
    await synced(pool, account, read("trading", BTC="0.75", ETH="2"), read("funding", BTC="0.25"))
    await synced(pool, account, read("trading", BTC="0", ETH="2"), read("funding", BTC="1"))
    await synced(pool, account, failed("trading"), read("funding", BTC="1"))
    await synced(pool, account, read("trading", BTC="0", ETH="2.50"), read("funding", BTC="1"))

    query = """select subject, convert_from(body, 'UTF8') from outbox where stream = 'PORTFOLIO_EVENTS'
               order by id"""
    found = await run(database, query)
    assert {subject for subject, _ in found} == {f"butler.portfolio.changed.{account.user_id}"}
    facts = [msgspec.json.decode(str(body), type=PortfolioChanged) for _, body in found]
    assert [
        [(each.asset, each.cause, each.old_quantity, each.new_quantity) for each in fact.assets]
        for fact in facts
    ] == [
        [("BTC", "coverage", None, "1")],
        [("BTC", "coverage", "1", "1.00"), ("ETH", "quantity", "0", "2")],
        [("ETH", "quantity", "2", "2.50")],
    ]
    assert {fact.account_id for fact in facts} == {account.id}

"""The portfolio of two exchanges: exact sums, one row for one asset, and never one row for two coins."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio
from uuid_utils.compat import uuid7

from contracts.exchanges import EXCHANGES
from contracts.prices import IndexPrice, PricesRead, Quote
from contracts.syncs import Status, SyncCompleted, TotalCheck, Verdict, WalletRead
from contracts.values import Balance
from contracts.wire.envelope import encode
from deploy.local.postgres import Postgres
from gateway.accounts.worth import find_portfolio
from gateway.errors import InvalidInput, NotFound, TooManyChoices
from gateway.http.worth_views import AssetWorthView, PortfolioView, portfolio_view
from gateway.prices.join import decide, find_name
from gateway.prices.look import look, set_by_hand
from gateway.prices.readings import Readings
from gateway.rows.accounts import Account
from gateway.rows.prices import PriceCode
from gateway.store import accounts, credentials, prices
from gateway.store.pool import Pool
from tests.gateway.conftest import opened
from tests.gateway.syncs.recorded import recorded
from tests.system.test_sweeper import run

pytestmark = pytest.mark.usefixtures("unpublished")


def reading(exchange: str, last: Mapping[str, str], ago: float = 0.0) -> PricesRead:
    """Return a reading of trades against USDT, made some seconds ago; only OKX has volumes and indexes."""
    at, is_okx = datetime.now(UTC) - timedelta(seconds=ago), exchange == "okx"
    volume = "1000" if is_okx else None
    quotes = tuple(Quote(name, "USDT", text, text, text, volume, at) for name, text in last.items())
    indexes = (IndexPrice("USDT", "USD", "1", at),) if is_okx else ()
    return PricesRead(exchange, uuid4(), at, quotes, indexes, has_volumes=is_okx)


async def priced(pool: Pool, *readings: PricesRead) -> Readings:
    """Record readings, and return the readings of a process."""
    kept = Readings(pool)
    for each in readings:
        assert await kept.record(each, encode(each))
    return kept


async def synced(pool: Pool, account: Account, wallet: str, **held: str) -> None:
    """Record a sync that read a wallet with these amounts, and all others as empty."""
    names = {name.removeprefix("_"): Decimal(amount) for name, amount in held.items()}
    listed = tuple(Balance(name, amount) for name, amount in names.items())
    reads = tuple(
        WalletRead(
            each, Verdict.COMPLETE, datetime.now(UTC), listed if each == wallet else (), TotalCheck.AGREES
        )
        for each in EXCHANGES[account.exchange].covered_wallets
    )
    sync = await opened(pool, account)
    said = SyncCompleted(sync.id, account.id, account.exchange, Status.COMPLETED, reads)
    assert await recorded(pool, said, timedelta(0)) is not None


@pytest_asyncio.fixture(name="binance")
async def _binance(pool: Pool, account: Account) -> Account:
    """Connect an account of the same user at Binance; both exchanges are asked for prices."""
    uid = "binance-1"
    found = msgspec.structs.replace(
        account,
        id=uuid7(),
        credential_id=uuid7(),
        name="Other",
        exchange="binance",
        exchange_uid=uid,
        master_uid=uid,
    )
    assert found.credential_id is not None
    async with pool.transaction() as connection:
        await credentials.insert_pending(connection, found.credential_id, found.user_id, "binance")
        await accounts.insert_account(connection, found)
        await credentials.set_live(connection, found.credential_id)
        claimed = await prices.claim(connection, ["binance", "okx"], 60.0)
    assert {each.source for each in claimed} == {"binance", "okx"}
    return found


async def shown(pool: Pool, readings: Readings, account: Account) -> PortfolioView:
    """Return the portfolio as the API shows it."""
    return portfolio_view(await find_portfolio(pool, readings, account.user_id, None))


def rows(of: PortfolioView) -> dict[str, AssetWorthView]:
    """Return the rows by asset; none appears twice."""
    assert len({each.asset for each in of.assets}) == len(of.assets)
    return {each.asset: each for each in of.assets}


async def test_the_sum_of_two_exchanges_is_exact(pool: Pool, account: Account, binance: Account) -> None:
    """Mapped names are one row, also in another unit, and each value is quantity times price."""
    kept = await priced(
        pool,
        reading("okx", {"BTC": "64000", "SATS": "0.000000123"}),
        reading("binance", {"BTC": "64001", "1000SATS": "0.0001231"}),
    )
    await synced(pool, account, "trading", BTC="0.1", SATS="5", USDT="3")
    await synced(pool, binance, "spot", BTC="0.2", _1000SATS="7.5", USDT="4")

    found = await shown(pool, kept, account)

    assert {name: row.quantity for name, row in rows(found).items()} == {
        "BTC": "0.3",
        "SATS": "7505",
        "USDT": "7",
    }
    assert found.total_usd is not None
    whole = Decimal("0.3") * 64000 + Decimal(7505) * Decimal("0.000000123") + 7
    assert Decimal(found.total_usd) == whole
    assert sum(Decimal(each.total_usd or "x") for each in found.accounts) == whole
    assert sum(Decimal(each.value_usd or "x") for each in found.assets) == whole
    assert (found.disputed, found.unpriced) == ((), ())


@pytest.mark.parametrize("text", ["1000SATS", "1000SATS@binance"])
async def test_a_unit_of_an_asset_has_no_price_by_hand(pool: Pool, account: Account, text: str) -> None:
    """It would count for no holding, because holdings are in the unit of the asset."""
    with pytest.raises(InvalidInput):
        await set_by_hand(pool, account.user_id, text, "0.5")
    await set_by_hand(pool, account.user_id, "SATS", "0.0005")


async def test_exchanges_that_disagree_are_shown_both(pool: Pool, account: Account, binance: Account) -> None:
    """The price of the one with indexes counts, and the worth says that it is disputed."""
    kept = await priced(pool, reading("binance", {"BTC": "60000"}), reading("okx", {"BTC": "64000"}))
    await synced(pool, binance, "spot", BTC="1")

    found, seen = await shown(pool, kept, account), await look(pool, kept, account.user_id, "BTC")

    assert (found.total_usd, found.disputed, found.verdict) == ("64000", ("BTC",), "incomplete")
    assert (seen.price.source, seen.price.code, seen.is_disputed) == ("okx", PriceCode.DISPUTED, True)
    other = next(each for each in seen.others if each.source == "binance")
    assert (other.value, other.method) == (Decimal(60000), "cross")
    assert other.age is not None


async def test_equal_names_split_for_good_until_the_user_joins_them(
    pool: Pool, account: Account, binance: Account, clean_database: Postgres
) -> None:
    """They never were one number for two coins; a missing price and a later near one change nothing."""
    await synced(pool, account, "trading", FOO="1")
    await synced(pool, binance, "spot", FOO="10")
    kept = await priced(pool, reading("okx", {"FOO": "1"}, 9), reading("binance", {"BAR": "1"}, 8))
    assert {*rows(await shown(pool, kept, account))} == {"FOO@okx", "FOO@binance"}

    kept = await priced(pool, reading("binance", {"FOO": "1.1"}, 7))
    assert rows(await shown(pool, kept, account))["FOO"].quantity == "11"
    kept = await priced(pool, reading("binance", {"BAR": "1"}, 6))
    assert {*rows(await shown(pool, kept, account))} == {"FOO"}
    kept = await priced(pool, reading("binance", {"FOO": "1.3"}, 5))
    two = rows(await shown(pool, kept, account))
    assert [two[f"FOO@{each}"].value_usd for each in ("okx", "binance")] == ["1", "13.0"]
    assert {each.apart for each in two.values()} == {"prices_differ"}
    kept = await priced(pool, reading("binance", {"FOO": "1"}, 4))
    assert {*rows(await shown(pool, kept, account))} == {"FOO@okx", "FOO@binance"}
    assert (await look(pool, kept, account.user_id, "FOO")).price.code == PriceCode.AMBIGUOUS

    await decide(pool, account.user_id, "FOO", join=True)
    assert rows(await shown(pool, kept, account))["FOO"].value_usd == "11"
    assert (await find_name(pool, account.user_id, "FOO")).joined
    await decide(pool, account.user_id, "FOO", join=False)
    two = rows(await shown(pool, kept, account))
    assert {name: row.apart for name, row in two.items()} == {
        "FOO@okx": "split_by_user",
        "FOO@binance": "split_by_user",
    }
    assert len(await run(clean_database, "select 1 from asset_matches where asset = 'FOO'")) == 1


async def test_a_price_by_hand_is_for_one_of_two_coins(
    pool: Pool, account: Account, binance: Account
) -> None:
    """The user names the exchange."""
    await synced(pool, account, "trading", FOO="1")
    await synced(pool, binance, "spot", FOO="10")
    kept = await priced(pool, reading("okx", {"FOO": "1"}), reading("binance", {"FOO": "30"}))

    await set_by_hand(pool, account.user_id, "FOO@okx", "7")

    found = rows(await shown(pool, kept, account))
    assert [found[f"FOO@{each}"].value_usd for each in ("okx", "binance")] == ["7", "300"]


async def test_a_decision_has_bounds(pool: Pool, account: Account) -> None:
    """The table decides about its names, no asset has an invalid name, and one user keeps so many."""
    with pytest.raises(InvalidInput):
        await decide(pool, account.user_id, "BTC", join=False)
    with pytest.raises(NotFound):
        await decide(pool, account.user_id, "F O", join=True)
    await decide(pool, account.user_id, "FOO", join=True, most=1)
    with pytest.raises(TooManyChoices):
        await decide(pool, account.user_id, "BAR", join=True, most=1)

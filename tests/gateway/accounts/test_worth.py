"""The worth of a user's accounts: which accounts, wallets, prices and rates count."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import LiteralString
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio
from uuid_utils.compat import uuid7

from contracts.exchanges.okx import OKX
from contracts.prices import ECB, IndexPrice, PricesRead, Quote
from contracts.syncs import TotalCheck, Totals, Verdict, WalletRead
from contracts.values import Balance
from contracts.wire.envelope import encode
from deploy.local.postgres import Postgres
from gateway.accounts.worth import find_portfolio, find_priced
from gateway.errors import InvalidInput, NoSuchPrice, NotFound
from gateway.http.worth_views import PortfolioView, portfolio_view
from gateway.prices.look import look, set_by_hand
from gateway.prices.readings import Readings
from gateway.rows.accounts import Account
from gateway.rows.restores import Restore
from gateway.store import accounts, credentials, prices
from gateway.store.pool import Pool
from tests.gateway.conftest import opened
from tests.gateway.syncs.recorded import outcome, recorded
from tests.system.test_sweeper import run

pytestmark = pytest.mark.usefixtures("unpublished")
RATES = (("USD", "1.25"), ("GBP", "0.85"), ("JPY", "180.05"))


def fixing(day: date, at: datetime) -> PricesRead:
    """Return a reading of the rates of a day."""
    rates = tuple(IndexPrice("EUR", currency, rate, at) for currency, rate in RATES)
    return PricesRead(ECB, uuid4(), at, indexes=rates, fixed_on=day)


def trades(btc: str, at: datetime) -> PricesRead:
    """Return a reading with one price."""
    return PricesRead("okx", uuid4(), at, (Quote("BTC", "USD", btc, btc, btc, "1000", at),), ())


async def priced(pool: Pool, *readings: PricesRead) -> Readings:
    """Record readings, and return what a process has at hand then."""
    async with pool.transaction() as connection:
        await prices.claim(connection, ["okx", ECB], 60.0, for_all=True)
    kept = Readings(pool)
    for each in readings:
        assert await kept.record(each, encode(each))
    return kept


@pytest_asyncio.fixture(name="readings")
async def _readings(pool: Pool, account: Account) -> AsyncIterator[Readings]:
    """Yield recorded prices: one of BTC, and rates of a Friday."""
    at = datetime.now(UTC)
    yield await priced(pool, trades("64000", at), fixing(_friday(at.date()), at))


def _friday(day: date) -> date:
    return day - timedelta(days=(day.weekday() - 4) % 7)


async def synced(
    pool: Pool, account: Account, quoted: Mapping[str, str] | None = None, **lists: tuple[Balance, ...]
) -> None:
    """Record a sync that read these wallets, and the others as empty, which the exchange's total confirms.

    `quoted` are prices by which the exchange values the trading list.
    """
    now, empty = datetime.now(UTC), Totals(valued=Decimal(0))
    reads = [
        WalletRead(
            wallet,
            Verdict.COMPLETE,
            now,
            lists.get(wallet, ()),
            TotalCheck.AGREES,
            totals=None if wallet in lists else empty,
            prices={each: Decimal(price) for each, price in (quoted or {}).items() if wallet == "trading"},
        )
        for wallet in OKX.covered_wallets
    ]
    assert await recorded(pool, outcome(await opened(pool, account), *reads), timedelta(0)) is not None


async def another(pool: Pool, account: Account, name: str) -> Account:
    """Connect one more account of the user."""
    found = msgspec.structs.replace(
        account, id=uuid7(), credential_id=uuid7(), name=name, exchange_uid=name, master_uid=name
    )
    assert found.credential_id is not None
    async with pool.transaction() as connection:
        await credentials.insert_pending(connection, found.credential_id, found.user_id, "okx")
        await accounts.insert_account(connection, found)
        await credentials.set_live(connection, found.credential_id)
    return found


async def shown(
    pool: Pool,
    readings: Readings,
    account: Account,
    currency: str = "USD",
    restored: Restore | None = None,
) -> PortfolioView:
    """Return the portfolio as the API shows it."""
    return portfolio_view(await find_portfolio(pool, readings, account.user_id, restored, currency))


async def test_money_that_moves_between_accounts_changes_no_total(
    pool: Pool, account: Account, readings: Readings
) -> None:
    """It is worth the same wherever it is; a deleted account never counts."""
    second = await another(pool, account, "second")
    one = Balance("BTC", Decimal("0.5"))
    await synced(pool, account, trading=(one,))
    await synced(pool, second)
    before = await shown(pool, readings, account)
    await synced(pool, account)
    await synced(pool, second, funding=(one,))
    after = await shown(pool, readings, account)

    assert before.total_usd is not None
    assert Decimal(before.total_usd) == Decimal(after.total_usd or 0) == Decimal(32000)
    assert (before.verdict, after.verdict) == ("complete", "complete")
    assert [Decimal(each.total_usd or 0) for each in after.accounts] == [0, Decimal(32000)]

    async with pool.transaction() as connection:
        await accounts.delete_account(connection, second.id)
    rest = await shown(pool, readings, account)
    assert (rest.total_usd, len(rest.accounts)) == ("0", 1)


async def test_a_wallet_that_was_never_read_is_named(
    pool: Pool, account: Account, readings: Readings
) -> None:
    """The total is not complete, and is unknown while nothing was read."""
    found = await shown(pool, readings, account)

    assert (found.total, found.total_usd, found.verdict) == (None, None, "incomplete")
    assert {(each.code, each.wallet) for each in found.reasons} == {
        ("wallet_never_read", wallet) for wallet in OKX.covered_wallets
    }
    assert {each.wallet for each in found.uncovered} == {each.key for each in OKX.wallets if not each.covered}


async def test_the_price_of_a_user_wins_and_says_so(pool: Pool, account: Account, readings: Readings) -> None:
    """USD has none: it is worth itself."""
    await synced(pool, account, trading=(Balance("BTC", Decimal(2)), Balance("USD", Decimal(3))))
    await set_by_hand(pool, account.user_id, "BTC", "10")

    found = await shown(pool, readings, account)

    assert (found.total_usd, found.manual, found.verdict) == ("23", ("BTC",), "complete")
    assert [each.price.method for each in found.assets] == ["manual", "unit"]
    assert (await look(pool, readings, account.user_id, "USD")).price.value == Decimal(1)
    with pytest.raises(InvalidInput):
        await set_by_hand(pool, account.user_id, "USD", "2")


async def test_values_in_a_currency_are_those_of_the_last_fixing(
    pool: Pool, account: Account, readings: Readings
) -> None:
    """With its day, on weekends that of Friday; parts add up to the total; USD stands beside."""
    await synced(pool, account, trading=(Balance("BTC", Decimal(1)),), funding=(Balance("BTC", Decimal(2)),))

    euros = await shown(pool, readings, account, "EUR")
    yen = await shown(pool, readings, account, "jpy")

    assert (euros.total, euros.total_usd) == ("153600.0", "192000")
    assert euros.rate is not None
    assert (euros.rate.per_usd, euros.rate.fixed_on.weekday(), euros.rate.source) == ("0.8", 4, "ecb")
    assert [Decimal(each.total or 0) for each in euros.wallets][:2] == [Decimal(51200), Decimal(102400)]
    assert yen.total is not None
    assert Decimal(yen.total) == Decimal(192000) * Decimal("180.05") / Decimal("1.25")
    for wrong in ("RUB", "EURO", "", "12€"):
        with pytest.raises(InvalidInput):
            await shown(pool, readings, account, wrong)


async def test_without_a_rate_values_are_null_and_those_in_usd_stay(pool: Pool, account: Account) -> None:
    """A missing rate is no rate of 1; a fixing that is a week old is said."""
    at = datetime.now(UTC)
    bare = await priced(pool, trades("64000", at))
    await synced(pool, account, trading=(Balance("BTC", Decimal(1)),))

    none = await shown(pool, bare, account, "EUR")
    assert (none.total, none.total_usd, none.rate, none.verdict) == (None, "64000", None, "incomplete")
    assert [each.code for each in none.reasons] == ["rate_unknown"]
    assert [(each.value, each.value_usd) for each in none.assets] == [(None, "64000")]

    late = await priced(pool, fixing(at.date() - timedelta(days=8), at))
    assert [each.code for each in (await shown(pool, late, account, "EUR")).reasons] == ["rate_old"]


async def test_a_process_shows_the_prices_that_another_recorded(
    pool: Pool, account: Account, readings: Readings, clean_database: Postgres
) -> None:
    """It has them at hand then; an old price is said, and one of yesterday is none."""
    await synced(pool, account, trading=(Balance("BTC", Decimal(1)),))
    fresh = Readings(pool)
    assert (await shown(pool, fresh, account)).total_usd == "64000"
    later = trades("65000", datetime.now(UTC))
    await readings.record(later, encode(later))
    assert (await shown(pool, fresh, account)).total_usd == "65000"

    await run(clean_database, "update price_readings set reading_id = null where source = 'okx'")
    none = await shown(pool, fresh, account)
    assert (none.total_usd, none.unpriced, none.priced_share) == (None, ("BTC",), "0.0000")


async def test_a_restored_database_is_doubted(pool: Pool, account: Account, readings: Readings) -> None:
    """A wallet that was not read since may have a newer list that is lost."""
    await synced(pool, account, trading=(Balance("BTC", Decimal(1)),))
    later = datetime.now(UTC) + timedelta(minutes=1)

    found = await shown(pool, readings, account, restored=Restore(later, later))

    assert {each.code for each in found.reasons} == {"wallet_restored"}


async def test_amounts_that_no_sync_has_read_for_days_are_doubted(
    pool: Pool, account: Account, readings: Readings, clean_database: Postgres
) -> None:
    """Also where no read failed, as without a schedule: today's price is not that of an old amount."""
    await synced(pool, account, trading=(Balance("BTC", Decimal(1)),))
    await run(clean_database, "update account_wallets set as_of = as_of - interval '3 days'")

    found = await shown(pool, readings, account)

    assert (found.total_usd, found.verdict) == ("64000", "incomplete")
    assert {each.code for each in found.reasons} == {"wallet_old"}


async def test_an_asset_without_a_market_is_worth_what_the_exchange_values_it_at(
    pool: Pool, account: Account, readings: Readings
) -> None:
    """In all accounts and wallets of the user, by the newest list; no market's price changes."""
    second = await another(pool, account, "second")
    coin = (Balance("OLDT", Decimal("10.5")),)
    await synced(pool, account, {"OLDT": "0.25", "BTC": "1"}, trading=(*coin, Balance("BTC", Decimal(1))))
    await synced(pool, second, {"OLDT": "0.5"}, trading=coin, funding=coin)

    found = await shown(pool, readings, account)
    _, book = await find_priced(pool, readings, account.user_id, account.id)
    price_of = book.at("okx")

    old = next(each for each in found.assets if each.asset == "OLDT")
    assert (found.total_usd, old.value_usd, found.unpriced) == ("64015.75", "15.75", ())
    assert (old.price.method, old.price.source, old.price.code) == ("exchange_valued", "okx", None)
    assert price_of("OLDT").value == Decimal("0.5")
    assert price_of("BTC").value == Decimal(64000)
    assert (await look(pool, readings, account.user_id, "OLDT")).price.method == "exchange_valued"
    with pytest.raises(NoSuchPrice):
        await look(pool, readings, uuid7(), "OLDT")


@pytest.mark.parametrize(
    ("change", "value", "code"),
    [
        ("as_of = as_of - interval '16 minutes'", "2.5", "last_known"),
        ("as_of = as_of - interval '25 hours'", None, "unpriced"),
        ("sync_number = sync_number + 1", None, "unpriced"),
    ],
    ids=["of a while ago", "of yesterday", "rewritten by a gateway of the release before"],
)
async def test_the_valuation_of_an_exchange_grows_old_with_its_list(
    pool: Pool,
    account: Account,
    readings: Readings,
    clean_database: Postgres,
    change: LiteralString,
    value: str | None,
    code: str,
) -> None:
    """An old one never looks fresh, and one that may be of another list is none: unknown, not zero."""
    await synced(pool, account, {"OLDT": "0.25"}, trading=(Balance("OLDT", Decimal(10)),))
    await run(clean_database, f"update account_wallets set {change}")  # noqa: S608 - constants

    (old,) = (await shown(pool, readings, account)).assets

    assert (None if old.value_usd is None else str(Decimal(old.value_usd).normalize())) == value
    assert old.price.code == code


async def test_an_account_of_another_user_is_not_found(
    pool: Pool, account: Account, readings: Readings
) -> None:
    """Neither its values, nor anything in the other's portfolio."""
    stranger = uuid7()

    with pytest.raises(NotFound):
        await find_priced(pool, readings, stranger, account.id)
    assert (await find_portfolio(pool, readings, stranger, None)).accounts == ()

"""Readings leave prices for the past: of each full hour, and of each fixing."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from contracts import subjects
from contracts.prices import ECB, IndexPrice, PricesRead, Quote
from deploy.local.postgres import Postgres
from gateway.portfolio.markets import Market
from gateway.portfolio.points import hour_of, points_before
from gateway.portfolio.prices import derived
from gateway.prices.readings import Readings
from gateway.rows.accounts import Account
from gateway.store import prices
from gateway.store.pool import Pool
from tests.gateway.prices.test_readings import claimed, delivery, reading
from tests.system.test_sweeper import run

POINTS = "select asset, source, at, value, method, code, observed_at from price_points where code is null"
FIXINGS = "select fixed_on, currency, rate from fixings order by fixed_on, currency"


def rates(day: int, usd: str, ago: float) -> PricesRead:
    """Return the rates of a day in November, read some seconds ago."""
    indexes = (IndexPrice("EUR", "USD", usd), IndexPrice("EUR", "CHF", "0.93"), IndexPrice("EUR", "XXX", "0"))
    at = datetime.now(UTC) - timedelta(seconds=ago)
    return PricesRead(ECB, uuid4(), at, None, indexes, fixed_on=date(2026, 11, day))


async def test_the_last_reading_before_an_hour_is_its_price(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """No price is later than its hour, and further readings within the hour write none."""
    await claimed(pool)
    hour = hour_of(datetime.now(UTC))
    since = (datetime.now(UTC) - hour).total_seconds()
    await Readings(pool).on_prices_read(delivery(reading("150", ago=since + 60)))
    assert await run(database, POINTS) == []

    for price in ("151", "152"):
        await Readings(pool).on_prices_read(delivery(reading(price)))

    found = sorted(await run(database, POINTS))
    assert [row[:6] for row in found] == [
        ("SOL", "okx", hour, Decimal(150), "cross", None),
        ("USD", "okx", hour, Decimal(1), "direct", None),
        ("USDT", "okx", hour, Decimal(1), "peg", None),
    ]
    assert all(row[6] < hour for row in found)


@pytest.mark.parametrize(
    ("minutes", "method"), [(1, "direct"), (16, "last_known"), (60 * 24, "last_known"), (60 * 24 + 1, None)]
)
def test_an_old_price_is_the_last_known_one_for_a_day(minutes: int, method: str | None) -> None:
    """Readings that pause leave no prices of the hours between, and then one that says how old it is."""
    hour = datetime(2026, 11, 28, 13, tzinfo=UTC)
    seen_at = hour - timedelta(minutes=minutes)
    read = PricesRead("okx", uuid4(), seen_at, (Quote("X", "USD", "5", "5", "5", "9", seen_at),))
    market = Market(read, seen_at)

    left = points_before(derived(market, {}), market, hour + timedelta(minutes=2))

    assert [(each.method, each.at) for each in left if each.asset == "X"] == (
        [] if method is None else [(method, hour)]
    )


def test_within_an_hour_no_price_is_left() -> None:
    """The full hour is before both readings."""
    seen_at = datetime(2026, 11, 28, 13, 1, tzinfo=UTC)
    quotes = (Quote("X", "USD", "5", "5", "5", "9", seen_at),)
    market = Market(PricesRead("okx", uuid4(), seen_at, quotes), seen_at)

    assert points_before(derived(market, {}), market, seen_at + timedelta(minutes=58)) == []


async def test_each_fixing_is_written_once(pool: Pool, account: Account, database: Postgres) -> None:
    """With the rates that are readable, each as the bank published it."""
    async with pool.transaction() as connection:
        await prices.claim(connection, [ECB], 0.0, for_all=True)
    for read in (rates(26, "1.15", 30), rates(26, "1.15", 20), rates(27, "1.16", 10)):
        await Readings(pool).on_prices_read(delivery(read, subjects.prices_read(ECB)))

    assert await run(database, FIXINGS) == [
        (date(2026, 11, 26), "CHF", Decimal("0.93")),
        (date(2026, 11, 26), "USD", Decimal("1.15")),
        (date(2026, 11, 27), "CHF", Decimal("0.93")),
        (date(2026, 11, 27), "USD", Decimal("1.16")),
    ]

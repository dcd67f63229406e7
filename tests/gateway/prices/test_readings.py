"""Gateways record each reading once, and request prices once a minute, however many they are."""

import math
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio
from nats.aio.client import Client

from chassis import metrics
from chassis.bus.connection import Bus
from chassis.bus.delivery import Delivery
from contracts import subjects
from contracts.prices import IndexPrice, PricesRead, PricesRequested, Quote
from contracts.wire.envelope import SECONDS_LEFT_HEADER, Malformed, decode, encode
from deploy.local.nats import Nats
from deploy.local.postgres import Postgres
from gateway.errors import NoSuchPrice, TooManyPrices
from gateway.prices.look import delete_by_hand, look, set_by_hand
from gateway.prices.readings import Readings
from gateway.prices.requests import PriceRequests
from gateway.rows.accounts import Account
from gateway.rows.prices import Method
from gateway.store import paused_exchanges, prices
from gateway.store.pool import Pool
from gateway.store.users import User
from tests.joining import bus_of, joined
from tests.system.test_sweeper import run

FRIDAY = date(2026, 11, 27)


def reading(last: str, ago: float = 0.0) -> PricesRead:
    """Return a reading of SOL in USDT that a worker made some seconds ago."""
    at = datetime.now(UTC) - timedelta(seconds=ago)
    return PricesRead(
        "okx",
        uuid4(),
        at,
        (Quote("SOL", "USDT", last, last, last, "1000", at),),
        (IndexPrice("USDT", "USD", "1", at),),
    )


def delivery(read: PricesRead, subject: str = subjects.prices_read("okx")) -> Delivery:
    """Return the delivery of a reading."""
    return Delivery(subject, encode(read), 1, {})


async def claimed(pool: Pool, every: float = 60.0) -> list[str]:
    """Return the exchanges whose prices a gateway is to request."""
    async with pool.transaction() as connection:
        return [each.source for each in await prices.claim(connection, ["okx"], every)]


@pytest_asyncio.fixture(name="requested")
async def _requested(pool: Pool, account: Account) -> Account:
    """Return a connected account for which a gateway has requested prices."""
    assert await claimed(pool) == ["okx"]
    return account


@pytest_asyncio.fixture(name="bus")
async def _bus(clean_bus: Nats) -> AsyncIterator[Bus]:
    bus = bus_of(clean_bus, "gateway")
    await bus.start()
    yield bus
    await bus.stop()


@pytest_asyncio.fixture(name="admin")
async def _admin(clean_bus: Nats) -> AsyncIterator[Client]:
    client = await joined(clean_bus, "admin")
    yield client
    await client.close()


async def test_of_several_gateways_one_requests(pool: Pool, account: Account) -> None:
    """Within a minute an exchange is claimed once; then again."""
    assert [await claimed(pool) for _ in range(3)] == [["okx"], [], []]
    assert await claimed(pool, every=0.0) == ["okx"]


async def test_an_exchange_without_accounts_is_not_asked(pool: Pool, user: User) -> None:
    """Prices are read only where a user has an account."""
    assert await claimed(pool) == []


async def test_a_paused_exchange_is_not_asked(pool: Pool, account: Account) -> None:
    """An operator pauses an exchange for all calls."""
    async with pool.transaction() as connection:
        await paused_exchanges.pause(connection, "okx")

    assert await claimed(pool) == []


async def test_a_request_waits_in_its_stream_until_the_next_one(
    pool: Pool, bus: Bus, admin: Client, account: Account
) -> None:
    """It carries its deadline and the seconds left, and a later one replaces it."""
    for _ in range(2):
        await PriceRequests(pool, bus, 0.0, 3600.0).request_due()

    stream = await admin.jetstream().stream_info("PRICE_REQUESTS")
    assert stream.state.messages == 2  # of the exchange, and of the bank
    message = await admin.jetstream().get_msg("PRICE_REQUESTS", stream.state.last_seq)
    request: PricesRequested = decode(message.data or b"", PricesRequested)
    assert request.exchange == "okx"
    assert float((message.headers or {})[SECONDS_LEFT_HEADER]) == 30.0
    assert request.deadline - request.requested_at == timedelta(seconds=30)


async def test_a_reading_is_recorded_and_seen_by_every_gateway(pool: Pool, requested: Account) -> None:
    """One gateway records it; another reads it from the database, and then has it in memory."""
    one, other = Readings(pool), Readings(pool)

    await one.on_prices_read(delivery(reading("150")))

    for gateway in (one, other):
        seen = await look(pool, gateway, requested.user_id, "SOL")
        assert (seen.price.value, seen.price.method) == (Decimal(150), Method.CROSS)
    first, _ = await other.last()
    again, _ = await other.last()
    assert first[0] is again[0]


async def test_an_older_reading_changes_nothing(pool: Pool, requested: Account) -> None:
    """A reading that comes late or twice is ignored, by whichever gateway."""
    newest = reading("150")
    await Readings(pool).on_prices_read(delivery(newest))

    for late in (newest, reading("149", ago=60)):
        await Readings(pool).on_prices_read(delivery(late))

    seen = await look(pool, Readings(pool), requested.user_id, "SOL")
    assert (seen.price.value, seen.price.code) == (Decimal(150), None)


async def test_a_clock_that_is_ahead_does_not_block_others(pool: Pool, requested: Account) -> None:
    """It counts as of now, so that the readings of other workers are newer."""
    await Readings(pool).on_prices_read(delivery(reading("150", ago=-3600)))
    await Readings(pool).on_prices_read(delivery(reading("151")))

    seen = await look(pool, Readings(pool), requested.user_id, "SOL")
    assert seen.price.value == Decimal(151)


async def test_readings_and_claims_of_the_future_keep_nothing_out(
    pool: Pool, requested: Account, database: Postgres
) -> None:
    """The database's clock was a day ahead for a while: prices would be of that time until then."""
    await Readings(pool).on_prices_read(delivery(reading("150")))
    for ahead in (
        "update price_readings set read_at = read_at + interval '1 day'",
        "update price_readings set claimed_at = now() + interval '1 day'",
    ):
        await run(database, ahead)

    assert await claimed(pool) == ["okx"]
    await Readings(pool).on_prices_read(delivery(reading("3")))

    seen = await look(pool, Readings(pool), requested.user_id, "SOL")
    assert (seen.price.value, seen.price.code) == (Decimal(3), None)


async def test_a_trade_stays_disputed_while_the_indexes_can_not_be_read(
    pool: Pool, requested: Account
) -> None:
    """The last index is a minute old, and still says that the trade is far from it."""
    first, then = reading("150", ago=60), reading("160")
    indexes = (*(first.indexes or ()), IndexPrice("SOL", "USD", "150", first.read_at))
    await Readings(pool).on_prices_read(delivery(msgspec.structs.replace(first, indexes=indexes)))
    failed = msgspec.structs.replace(then, indexes=None, error_code="rate_limited")
    await Readings(pool).on_prices_read(delivery(failed))

    seen = await look(pool, Readings(pool), requested.user_id, "SOL")
    assert (seen.price.value, seen.price.code, seen.is_disputed) == (Decimal(160), "price_disputed", True)
    assert seen.index is not None
    assert then.read_at - seen.index.observed_at > timedelta(seconds=50)


async def test_a_gateway_goes_on_where_another_ended(pool: Pool, requested: Account) -> None:
    """The state of the rules is in the database: a jump is implausible for a gateway that just started."""
    await Readings(pool).on_prices_read(delivery(reading("150", ago=1)))
    await Readings(pool).on_prices_read(delivery(reading("3000")))

    seen = await look(pool, Readings(pool), requested.user_id, "SOL")
    assert (seen.price.value, seen.price.code) == (Decimal(150), "price_implausible")
    assert [each.code for each in seen.others] == ["price_implausible"]


async def test_a_reading_that_is_replaced_while_it_is_looked_up_leaves_no_gap(
    pool: Pool, requested: Account
) -> None:
    """A gateway that has seen the standing gets the reading that replaced it, never none."""
    one, other = Readings(pool), Readings(pool)
    await one.on_prices_read(delivery(reading("150", ago=1)))
    async with pool.transaction() as connection:
        (standing,) = await prices.standings(connection)

        await one.on_prices_read(delivery(reading("151")))

        stored = await prices.load(connection, standing.source)
    (last,), _ = await other.last()
    assert stored is not None
    assert (stored.id, stored.id == standing.reading_id) == (last.id, False)


async def test_the_age_of_prices_is_known_where_they_are_asked_for(pool: Pool, requested: Account) -> None:
    """It is infinite if they were never read, and no number for an exchange that nobody asks."""

    async def age(exchange: str = "okx") -> float:
        await Readings(pool).sample()
        found = metrics.REGISTRY.get_sample_value("butler_prices_age_seconds", {"exchange": exchange})
        assert found is not None
        return found

    assert (await age(), math.isnan(await age("ecb"))) == (math.inf, True)
    await Readings(pool).on_prices_read(delivery(reading("150", ago=50)))
    assert 50 <= await age() < 60
    async with pool.transaction() as connection:
        await paused_exchanges.pause(connection, "okx")
    assert math.isnan(await age())


async def test_prices_on_the_subject_of_another_are_refused(pool: Pool, requested: Account) -> None:
    """A reading counts only for the exchange of its subject."""
    with pytest.raises(Malformed):
        await Readings(pool).on_prices_read(delivery(reading("150"), subjects.prices_read("other")))


async def test_a_price_by_hand_counts_for_its_user_alone(pool: Pool, requested: Account) -> None:
    """It stands in place of the market's until it is deleted, and the market's stands beside it."""
    readings = Readings(pool)
    await readings.on_prices_read(delivery(reading("150")))
    await set_by_hand(pool, requested.user_id, "SOL", "7.5")

    own, other = [await look(pool, readings, user, "SOL") for user in (requested.user_id, uuid4())]

    assert (own.price.value, own.price.method) == (Decimal("7.5"), Method.MANUAL)
    assert Decimal(150) in {each.value for each in own.others}
    assert (other.price.value, other.price.method) == (Decimal(150), Method.CROSS)
    await delete_by_hand(pool, requested.user_id, "SOL")
    assert (await look(pool, readings, requested.user_id, "SOL")).price.value == Decimal(150)
    with pytest.raises(NoSuchPrice):
        await delete_by_hand(pool, requested.user_id, "SOL")


async def test_a_user_sets_a_bounded_number_of_prices(pool: Pool, account: Account) -> None:
    """One more is refused; changing one is not."""
    for asset in ("A", "B", "A"):
        await set_by_hand(pool, account.user_id, asset, "1", most=2)

    with pytest.raises(TooManyPrices):
        await set_by_hand(pool, account.user_id, "C", "1", most=2)


def rates(rate: str | None, day: date, ago: float = 0.0) -> Delivery:
    """Return the delivery of the bank's rates of a day; without a rate they were not read."""
    indexes = None if rate is None else (IndexPrice("EUR", "USD", rate),)
    at = datetime.now(UTC) - timedelta(seconds=ago)
    read = PricesRead("ecb", uuid4(), at, None, indexes, None, None if rate is None else day)
    return delivery(read, subjects.prices_read("ecb"))


async def test_the_last_fixing_stays_until_a_newer_one_is_read(pool: Pool, account: Account) -> None:
    """A read that fails, and a list of an earlier or a future day, replace none."""
    async with pool.transaction() as connection:
        claimed_for_all = await prices.claim(connection, ["ecb"], 60.0, for_all=True)
    assert [each.source for each in claimed_for_all] == ["ecb"]
    readings = Readings(pool)

    future = datetime.now(UTC).date() + timedelta(days=1)
    for each in (
        rates("9.99", future, ago=4),
        rates("1.08", FRIDAY, ago=3),
        rates(None, FRIDAY, ago=2),
        rates("1.07", FRIDAY - timedelta(days=1), ago=1),
        rates("9.99", future),
    ):
        await readings.on_prices_read(each)

    (last,), _ = await readings.last()
    assert [each.price for each in last.read.indexes or ()] == ["1.08"]
    assert last.read.fixed_on == FRIDAY

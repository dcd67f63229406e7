"""The past of a user's accounts, from the database: by hour, by asset, at one time, in another currency."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from deploy.local.postgres import Postgres
from gateway.accounts.changes import find_attribution
from gateway.accounts.history import MAX_POINTS, Asked, Span, find_at, find_history, parsed_time
from gateway.errors import InvalidInput, NotFound
from gateway.http.attribution_views import changes_summary
from gateway.http.history_views import asset_history_view, history_view, statement_view
from gateway.portfolio.grid import Interval
from gateway.portfolio.points import hour_of
from gateway.prices.look import delete_by_hand, set_by_hand
from gateway.rows.accounts import Account
from gateway.rows.points import Fixing, Point
from gateway.rows.snapshots import Begun
from gateway.store import points, snapshots
from gateway.store.pool import Pool
from tests.gateway.portfolio.test_history import content
from tests.gateway.syncs.recorded import failed
from tests.gateway.syncs.test_snapshot import read, synced
from tests.system.test_sweeper import run

pytestmark = pytest.mark.usefixtures("unpublished")
NOW = hour_of(datetime.now(UTC))


def ago(hours: float) -> datetime:
    """Return a time before the last full hour."""
    return NOW - timedelta(hours=hours)


async def held(pool: Pool, account: Account, since: float, until: float, **amounts: str) -> None:
    """Begin a snapshot; the one before it was confirmed so many hours ago for the last time."""
    begun = Begun(
        account.id,
        account.user_id,
        UUID(int=int(since)),
        ago(since),
        ago(until),
        7200,
        UUID(int=0),
        content(ago(since), **amounts),  # type: ignore[arg-type] # the amounts only
    )
    async with pool.transaction() as connection:
        await snapshots.begin(connection, [begun])


async def priced(pool: Pool, **prices: str) -> None:
    """Write prices of the last full hours, each of them a bit higher."""
    written = [
        Point(
            asset, "okx", ago(hour), Decimal(value) - hour, "cross", ago(hour + 0.01), None, f"{asset}-USDT"
        )
        for asset, value in prices.items()
        for hour in range(10)
    ]
    async with pool.transaction() as connection:
        await points.write(connection, written)


@pytest.fixture(name="past")
async def _past(pool: Pool, account: Account, database: Postgres) -> Account:
    """Return an account with three snapshots: a read stretch, one that is not confirmed, and the last."""
    await run(database, "update accounts set created_at = now() - interval '30 days'")
    await held(pool, account, 9, 9, BTC="1")
    await held(pool, account, 3, 8, BTC="2", ETH="10")
    await held(pool, account, 1, 2, BTC="2.5")
    await priced(pool, BTC="100", ETH="20")
    return account


async def test_each_hour_has_its_snapshot_and_its_prices(pool: Pool, past: Account) -> None:
    """A stretch that no sync confirmed is stale, and before the first snapshot nothing is known."""
    span = Span(ago(10), NOW, Interval.HOUR)

    view = history_view(await find_history(pool, Asked(past.user_id), span), Interval.HOUR)

    told = [(point.state.value, point.total) for point in view.points]
    assert told == [
        ("unknown", None),
        ("fresh", "91"),
        ("fresh", "92"),
        ("fresh", "93"),
        ("fresh", "94"),
        ("stale", "95"),
        ("stale", "96"),
        ("fresh", "364"),
        ("fresh", "376"),
        ("fresh", "247.5"),
        ("fresh", "250.0"),
    ]
    assert all(each.prices_at and each.prices_at <= each.time for each in view.points if each.total)


async def test_an_asset_and_an_account_have_a_history(pool: Pool, past: Account, database: Postgres) -> None:
    """Quantity, price and value; an account without the asset has none of it, which is known."""
    span = Span(ago(4), NOW, Interval.HOUR)

    shown = await find_history(pool, Asked(past.user_id, asset="ETH"), span)

    view = asset_history_view("ETH", shown, Interval.HOUR)
    assert [(each.quantity, each.price_usd, each.total_usd) for each in view.points] == [
        ("0", None, "0"),
        ("10", "17", "170"),
        ("10", "18", "180"),
        ("0", None, "0"),
        ("0", None, "0"),
    ]
    alone = history_view(await find_history(pool, Asked(past.user_id, past.id), span), Interval.HOUR)
    assert [each.accounts for each in alone.points] == [1] * 5
    with pytest.raises(NotFound):
        await find_history(pool, Asked(UUID(int=1), past.id), span)


async def test_a_statement_shows_all_that_is_behind_a_total(pool: Pool, past: Account) -> None:
    """Between two hours the price is the last one before, and says so when it is old."""
    view = statement_view(await find_at(pool, Asked(past.user_id), ago(1.5)))

    assert (view.total, view.state, view.as_of) == ("376", "fresh", ago(2))
    (account,) = view.statement
    assert (account.since, account.until, account.snapshot_id) == (ago(3), ago(2), UUID(int=3))
    prices = {each.asset: each.price for each in account.amounts}
    assert (prices["ETH"].value_usd, prices["ETH"].method, prices["ETH"].observed_at) == (
        "18",
        "last_known",
        ago(2.01),
    )


async def test_a_summary_of_changes_is_the_difference_of_two_statements(pool: Pool, past: Account) -> None:
    """Its parts add up to it; without times it is of the last day."""
    view = changes_summary(await find_attribution(pool, past.user_id, ago(3.5), ago(0.5)))
    first, last = [
        statement_view(await find_at(pool, Asked(past.user_id), time)) for time in (ago(3.5), ago(0.5))
    ]

    assert (view.before.total_usd, view.after.total_usd) == (first.total_usd, last.total_usd)
    assert first.total_usd
    assert last.total_usd
    change = Decimal(last.total_usd) - Decimal(first.total_usd)
    assert sum(Decimal(part.change_usd) for part in view.parts) == change == Decimal(view.change_usd or 0)
    assert {part.cause for part in view.parts} == {"quantity", "price"}
    lately = await find_attribution(pool, past.user_id, None, ago(-5))
    assert lately.after.time - lately.before.time == timedelta(days=1)
    with pytest.raises(InvalidInput):
        await find_attribution(pool, past.user_id, ago(1), ago(2))


async def test_values_are_converted_by_the_last_fixing_before(
    pool: Pool, past: Account, database: Postgres
) -> None:
    """Never by a later one; without a fixing of the week before, only the values in USD are known."""
    fixed_on = (ago(1) - timedelta(days=2)).date()
    fixings = [
        Fixing("ecb", day, "EUR", currency, Decimal(rate))
        for day in (fixed_on, date(2099, 1, 1))
        for currency, rate in (("USD", "1.25"), ("CHF", "1"))
    ]
    async with pool.transaction() as connection:
        await points.write_fixings(connection, fixings)

    for currency, total in (("eur", "198.00"), ("CHF", "198.00"), ("USD", "247.5")):
        view = statement_view(await find_at(pool, Asked(past.user_id, currency=currency), ago(1)))
        assert (view.total, view.total_usd) == (total, "247.5")
    with pytest.raises(InvalidInput):
        await find_at(pool, Asked(past.user_id, currency="XXX"), ago(1))
    await run(database, "delete from fixings where fixed_on = %s", fixed_on)
    view = statement_view(await find_at(pool, Asked(past.user_id, currency="EUR"), ago(1)))
    assert (view.total, view.total_usd, view.reasons) == (None, "247.5", ("rate_unknown",))


async def test_a_failed_wallet_keeps_its_amounts_and_says_so(pool: Pool, account: Account) -> None:
    """As syncs record it: the statement of now has the amounts, the state and the error."""
    await synced(pool, account, read("trading", BTC="1"), read("funding", BTC="2"))
    await synced(pool, account, failed("trading"), read("funding", BTC="2"))

    view = statement_view(await find_at(pool, Asked(account.user_id), datetime.now(UTC)))

    (shown,) = view.statement
    assert [(each.wallet, each.quantity) for each in shown.amounts] == [("funding", "2"), ("trading", "1")]
    assert (view.state, view.reasons) == ("unknown", ("unpriced", "wallet_stale"))


async def test_a_price_by_hand_counts_from_when_it_was_set_until_it_was_changed_or_deleted(
    pool: Pool, past: Account, database: Postgres
) -> None:
    """A later one changes nothing of the past, as a gateway of any version writes it."""
    spans = "select value::text, since < until from manual_price_spans order by since"
    await set_by_hand(pool, past.user_id, "BTC", "7")
    await run(database, "update manual_prices set set_at = now() - interval '5 hours'")
    await run(database, "delete from manual_price_spans where until is not null")
    await run(database, "update manual_price_spans set since = %s", ago(5.5))
    await run(
        database, "update manual_prices set value = 9, set_at = %s where user_id = %s", ago(4.5), past.user_id
    )
    await delete_by_hand(pool, past.user_id, "BTC")
    await run(database, "update manual_price_spans set until = %s where value = 9", ago(3.5))

    span = Span(ago(6), ago(3), Interval.HOUR)
    shown = asset_history_view(
        "BTC", await find_history(pool, Asked(past.user_id, asset="BTC"), span), Interval.HOUR
    )

    assert await run(database, spans) == [("7", True), ("9", True)]
    assert [each.price_usd for each in shown.points] == ["94", "7", "9", "97"]
    ((then, _),) = (await find_at(pool, Asked(past.user_id), ago(4))).points
    (part,) = (part for each in then.accounts if each.values for part in each.values.parts)
    assert (part.price.method, part.price.source) == ("manual", "user")


async def test_the_past_of_prices_by_hand_is_bounded(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """The newest 1000 that ended are kept, and the ones that count; a deleted user has none."""
    await set_by_hand(pool, account.user_id, "OLD", "1")
    await run(
        database,
        """insert into manual_price_spans (user_id, asset, since, until, value)
           select %s, 'BTC', now() - n * interval '1 day', now() - n * interval '1 day' + interval '1 hour', 1
           from generate_series(1, 1005) n""",
        account.user_id,
    )
    await set_by_hand(pool, account.user_id, "BTC", "1")
    await delete_by_hand(pool, account.user_id, "BTC")

    counts = "select count(*) filter (where until is not null), count(*) from manual_price_spans"
    assert await run(database, counts) == [(1000, 1001)]
    assert await run(database, "select count(*) from manual_price_spans where until > now() - interval '1 h'")
    await run(database, "insert into deleted_users (user_id) values (%s)", account.user_id)
    await run(database, "delete from manual_prices")
    assert await run(database, counts) == [(0, 0)]


async def test_what_a_restore_may_have_lost_says_so(pool: Pool, past: Account, database: Postgres) -> None:
    """In each history, until a sync has read the account again."""
    await run(database, "insert into restores (restored_at, database_at) values (%s, %s)", ago(5), ago(7))
    span = Span(ago(9), ago(3), Interval.HOUR)

    points = history_view(await find_history(pool, Asked(past.user_id), span), Interval.HOUR).points

    await run(database, "delete from restores")
    marked = ["wallet_restored" in each.reasons for each in points]
    assert marked == [False, False, True, True, True, True, False]


async def test_a_history_is_bounded(pool: Pool, account: Account) -> None:
    """A time that would be too many points, backwards, or no time, is refused with words."""
    first = ago(MAX_POINTS)
    for span in (
        Span(first, NOW, Interval.HOUR),
        Span(ago(1), ago(2), Interval.DAY),
        Span(ago(-10), None, Interval.DAY),
    ):
        with pytest.raises(InvalidInput):
            await find_history(pool, Asked(account.user_id), span)
    longest = await find_history(pool, Asked(account.user_id), Span(first, ago(1), Interval.HOUR))
    assert len(longest.points) == MAX_POINTS
    for text in ("2026-11-28", "2026-11-28T12:00:00", "0001-01-01T00:00:00+10:00", "now", ""):
        with pytest.raises(InvalidInput):
            parsed_time("from", text)

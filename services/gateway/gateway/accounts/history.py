"""Looking up the worth of a user's accounts in the past."""

import asyncio
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import groupby
from typing import TypeVar
from uuid import UUID

import msgspec

from contracts.prices import ECB, EUR, USD, IndexPrice, PricesRead
from gateway.accounts.look import owned
from gateway.errors import InvalidInput
from gateway.portfolio.calendar import GREENWICH, days, end_of
from gateway.portfolio.grid import SPANS, Interval, count, hours
from gateway.portfolio.history import History, PointOf, Then, no_point, places_of, point_at
from gateway.portfolio.identity import Identity, sources_of
from gateway.portfolio.rates import OLD, Rate, rates_of
from gateway.portfolio.sums import thens
from gateway.rows.points import Fixing
from gateway.rows.prices import ManualSpan
from gateway.rows.snapshots import Past
from gateway.store import closes, points
from gateway.store.assets import names_among
from gateway.store.pool import Connection, Pool, database_time
from gateway.store.prices import list_spans
from gateway.store.restores import list_restores
from gateway.store.snapshots import find_past

T = TypeVar("T")
MAX_POINTS = 2200
# A transaction is short, however long a history.
AT_ONCE = 200
# A day by its sums needs less than one by its contents.
DAYS_AT_ONCE = 400
# The bank publishes a fixing in the afternoon of its day.
PUBLISHED = timedelta(hours=16)
NO_REQUEST = UUID(int=0)
TOO_MANY = f"This would be more than {MAX_POINTS} points: ask for a shorter time or a longer interval."
BACKWARDS = "`from` must be before `to`, and in the past."
# Before it there was nothing to hold.
EARLIEST = datetime(2009, 1, 3, tzinfo=UTC)
TOO_EARLY = f"We know nothing from before {EARLIEST:%Y-%m-%d}."
NOT_A_TIME = "A time has the form 2026-11-28T12:00:00Z, with its distance to UTC."
NOT_A_DAY = "A day has the form 2026-11-28."
NOT_A_CURRENCY = "A currency has a code of three letters, such as EUR."
NO_RATES = "We know no rate of this currency in this time: ask for USD, or look at GET /currencies."


class Span(msgspec.Struct, frozen=True):
    """The times that a user asks for; None is the default of the interval, and now."""

    first: datetime | None
    last: datetime | None
    interval: Interval


class Shown(msgspec.Struct, frozen=True):
    """The worth at each time, and the rate of the currency then; None for USD, and if it is not known."""

    currency: str
    points: list[tuple[Then, Rate | None]]


class Asked(msgspec.Struct, frozen=True):
    """Whose past is looked up: all accounts of a user or one, and all assets or one."""

    user_id: UUID
    account_id: UUID | None = None
    asset: str | None = None
    currency: str = USD


async def find_history(pool: Pool, asked: Asked, span: Span) -> Shown:
    """Find the history of a user's accounts; raises NotFound and InvalidInput."""
    currency = checked_currency(asked.currency)
    async with pool.transaction(snapshot=True) as connection:
        if asked.account_id is not None:
            await owned(connection, asked.user_id, asked.account_id)
        first, last = _ends(span, await database_time(connection))
        clock = await closes.find_clock(connection, asked.user_id)
    shown: list[tuple[Then, Rate | None]] = []
    if span.interval is Interval.HOUR:
        for times in _parts(hours(first, last)):
            shown += await _found(pool, asked, currency, times)
    else:
        zone = GREENWICH if clock is None else clock.zone
        ended = days(first, last, zone, weekly=span.interval is Interval.WEEK)
        ends = {day: end_of(day, zone) for day in ended if clock is None or day < clock.next_day}
        for listed in _parts([*ends], DAYS_AT_ONCE):
            found = await _summed(pool, asked, currency, {day: ends[day] for day in listed})
            if found is not None:
                shown += found
                continue
            for part in _parts(listed):
                shown += await _found_closed(pool, asked, currency, {day: ends[day] for day in part})
    return Shown(currency, shown)


async def find_at(pool: Pool, asked: Asked, time: datetime) -> Shown:
    """Find the worth of a user's accounts at one time; raises InvalidInput."""
    currency = checked_currency(asked.currency)
    async with pool.transaction() as connection:
        if time > await database_time(connection):
            raise _invalid("time", "This time is in the future: ask for one of the past.")
    return Shown(currency, await _found(pool, asked, currency, [time]))


async def find_thens(pool: Pool, user_id: UUID, first: datetime, last: datetime) -> tuple[Then, Then]:
    """Find the worth of all accounts of a user at two times, as of one moment."""
    (before, _), (after, _) = await _found(pool, Asked(user_id), USD, [first, last])
    return before, after


def _parts(listed: list[T], most: int = AT_ONCE) -> list[list[T]]:
    return [listed[at : at + most] for at in range(0, len(listed), most)]


async def _found(
    pool: Pool, asked: Asked, currency: str, times: list[datetime]
) -> list[tuple[Then, Rate | None]]:
    """Find the worth at a few times, by one short transaction."""
    async with pool.transaction(snapshot=True) as connection:
        pasts = await find_past(connection, asked.user_id, asked.account_id, times)
        identity, point_of, spans = await find_pricing(connection, asked.user_id, pasts, times)
        restores = await list_restores(connection)
        rates = await _rates(connection, currency, times)
    history = History(
        pasts,
        point_of,
        asked.asset,
        manual=spans,
        restores=restores,
        identity=identity,
    )
    return await _shown(history, times, rates)


async def find_pricing(
    connection: Connection, user_id: UUID, pasts: Sequence[Past], times: Sequence[datetime]
) -> tuple[Identity, PointOf, list[ManualSpan]]:
    """Find the assets that the names of accounts mean now, their prices at times, and prices set by hand."""
    places = places_of(pasts)
    identity = await _identity(connection, user_id, places)
    assets = [identity.of(*place) for place in sorted(places)]
    wanted = sorted({(source, name) for asset in assets for source, name, _ in sources_of(asset)})
    found = await points.find(connection, wanted, times)
    texts = sorted({text for asset in assets for text in (asset.text, asset.name)})
    return identity, point_at(found, identity), await list_spans(connection, user_id, texts)


async def _identity(connection: Connection, user_id: UUID, places: Iterable[tuple[str, str]]) -> Identity:
    names = await names_among(connection, user_id, sorted({name for _, name in places}))
    return Identity(names, await database_time(connection))


async def _summed(
    pool: Pool, asked: Asked, currency: str, ends: dict[date, datetime]
) -> list[tuple[Then, Rate | None]] | None:
    """Find the worth at the ends of days by the sums of closes; None if their contents are needed."""
    if asked.asset is not None:
        return None
    async with pool.transaction(snapshot=True) as connection:
        accounts = await closes.find_sums(connection, asked.user_id, asked.account_id, list(ends))
        closed = {each.day: each.at for account in accounts for each in account.days}
        times = [closed.get(day, end) for day, end in ends.items()]
        restores = await list_restores(connection)
        rates = await _rates(connection, currency, times)
    found = await asyncio.to_thread(thens, accounts, times, restores)
    return None if found is None else [(then, rates.get(then.time)) for then in found]


async def _found_closed(
    pool: Pool, asked: Asked, currency: str, ends: dict[date, datetime]
) -> list[tuple[Then, Rate | None]]:
    """Find the worth at the ends of a few days; of a day without a close, by the last one before."""
    async with pool.transaction(snapshot=True) as connection:
        pasts = await closes.find_closed(
            connection, asked.user_id, asked.account_id, list(ends), carried=True
        )
        identity = await _identity(connection, asked.user_id, places_of(pasts))
        closed = {each.day: each.since for past in pasts for each in past.ended}
        times = [closed.get(day, end) for day, end in ends.items()]
        restores = await list_restores(connection)
        rates = await _rates(connection, currency, times)
    # A close has its own prices.
    history = History(pasts, no_point, asked.asset, restores=restores, identity=identity)
    return await _shown(history, times, rates)


async def _shown(
    history: History, times: list[datetime], rates: dict[datetime, Rate]
) -> list[tuple[Then, Rate | None]]:
    # It takes a while, in which others are served.
    thens = await asyncio.to_thread(lambda: [history.at(time) for time in times])
    return [(then, rates.get(then.time)) for then in thens]


def parsed_time(field: str, text: str) -> datetime:
    """Parse a time with its distance to UTC; raises InvalidInput."""
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            raise _invalid(field, NOT_A_TIME)
        time = time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _invalid(field, NOT_A_TIME) from None
    if time < EARLIEST:
        raise _invalid(field, TOO_EARLY)
    return time


def parsed_day(field: str, text: str | None) -> date | None:
    """Parse a day, None without one; raises InvalidInput."""
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise _invalid(field, NOT_A_DAY) from None


def checked_currency(text: str) -> str:
    """Return the code of a currency; raises InvalidInput."""
    if len(text) != len(USD) or not (text.isascii() and text.isalpha()):
        raise _invalid("currency", NOT_A_CURRENCY)
    return text.upper()


def _ends(span: Span, now: datetime) -> tuple[datetime, datetime]:
    """Return the first and the last time of a history up to now; raises InvalidInput."""
    last = now if span.last is None else min(span.last, now)
    first = last - SPANS[span.interval] if span.first is None else span.first
    if first > last:
        raise _invalid("from", BACKWARDS)
    if count(first, last, span.interval) > MAX_POINTS:
        raise _invalid("from", TOO_MANY)
    return first, last


async def _rates(connection: Connection, currency: str, times: Sequence[datetime]) -> dict[datetime, Rate]:
    """Return the rate of a currency at each time: of the last fixing that was published by then."""
    if currency == USD or not times:
        return {}
    days = [(time - PUBLISHED).date() for time in times]
    found = await points.find_fixings(connection, ECB, [currency, USD], days[0] - OLD, days[-1])
    if found and currency not in {each.currency for each in found} | {EUR}:
        raise _invalid("currency", NO_RATES)
    rates = [rate for rate in map(partial(_rate, currency), _by_day(found)) if rate is not None]
    near = {}
    for time, day in zip(times, days, strict=True):
        number = bisect_right(rates, day, key=lambda rate: rate.fixed_on)
        if number and rates[number - 1].fixed_on >= day - OLD:
            near[time] = rates[number - 1]
    return near


def _by_day(found: Sequence[Fixing]) -> list[list[Fixing]]:
    return [list(of_day) for _, of_day in groupby(found, key=lambda each: each.fixed_on)]


def _rate(currency: str, of_day: Sequence[Fixing]) -> Rate | None:
    fixed_on = of_day[0].fixed_on
    indexes = tuple(IndexPrice(EUR, each.currency, str(each.rate)) for each in of_day)
    read = PricesRead(ECB, NO_REQUEST, EARLIEST, None, indexes, fixed_on=fixed_on)
    return rates_of(read).get(currency)


def _invalid(field: str, words: str) -> InvalidInput:
    return InvalidInput(words, errors=[{"field": field, "message": words}])

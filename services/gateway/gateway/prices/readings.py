"""The last reading of each exchange's public prices: recorded once, and in the memory of each gateway."""

import math
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import structlog
from uuid_utils.compat import uuid7

from chassis import metrics
from chassis.bus.delivery import Delivery, RetryLater
from contracts import subjects
from contracts.exchanges import PRICED
from contracts.prices import ECB, PricesRead
from contracts.wire.envelope import Malformed, decode, encode
from gateway.portfolio.identity import compared
from gateway.portfolio.markets import Market
from gateway.portfolio.points import fixings_of, points_before
from gateway.portfolio.prices import derived, rates_of_pegs
from gateway.rows.prices import Known, Price
from gateway.store import assets, points, prices
from gateway.store.pool import Connection, DatabaseUnavailable, NotStorable, Pool, database_time
from gateway.store.prices import Standing, Stored

DATABASE_AWAY_DELAY = 5.0
SAMPLE_SECONDS = 4.0

log = structlog.get_logger()


class Reading(msgspec.Struct, frozen=True):
    """A reading's lists and what is known after it."""

    id: UUID
    read: PricesRead
    market: Market
    known: dict[str, Known]


# The last readings that a process has read or recorded, by exchange.
Memory = dict[str, Reading]


class Readings:
    """Records readings, and has the last one of each exchange at hand.

    A process reads a reading from the database only when another process has recorded it.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.memory: Memory = {}

    async def on_prices_read(self, delivery: Delivery) -> None:
        """Record a reading, unless it is not newer than the last one."""
        read: PricesRead = decode(delivery.body, PricesRead)
        if read.exchange not in {*PRICED, ECB} or delivery.subject != subjects.prices_read(read.exchange):
            raise Malformed("the prices are not of an exchange that has any")
        try:
            recorded = await self.record(read, delivery.body)
        except DatabaseUnavailable as error:
            raise RetryLater(DATABASE_AWAY_DELAY, str(error)) from None
        except NotStorable as error:
            raise Malformed(f"the prices can not be stored: {error}") from None
        event = "prices_recorded" if recorded else "prices_ignored"
        log.debug(event, exchange=read.exchange, request_id=read.request_id, code=read.error_code)

    async def record(self, read: PricesRead, body: bytes) -> bool:
        """Record a reading that is newer than the last one; returns whether it is.

        Without a list of indexes the last one stays, with its own times: else no trade would be disputed.
        Raises DatabaseUnavailable, NotStorable.
        """
        async with self._pool.transaction() as connection:
            standing = await prices.lock(connection, read.exchange)
            if standing is None:
                return False
            # A worker's clock may be ahead: no reading is newer than now.
            seen_at = min(read.read_at, standing.now)
            if standing.read_at is not None and seen_at <= standing.read_at <= standing.now:
                return False
            # What was read in the future is of a clock that was set back: it would keep all others out.
            is_future = standing.read_at is not None and standing.read_at > standing.now
            last = None if is_future else await _reading(connection, standing, self.memory)
            if read.exchange == ECB and not _is_newer(read, last, standing.now):
                return False
            if read.indexes is None and last is not None:
                read = msgspec.structs.replace(read, indexes=last.read.indexes)
                body = encode(read)
            before = {} if last is None else last.known
            market = Market(read, seen_at)
            others = await last_readings(connection, self.memory) if market.is_without_indexes else []
            reading = Reading(uuid7(), read, market, derived(market, before, _pegs(others, seen_at)))
            stored = Stored(reading.id, seen_at, body, msgspec.json.encode(reading.known))
            await prices.replace(connection, read.exchange, read.error_code, stored)
            await _leave(connection, last, reading)
            if read.exchange in PRICED and read.quotes is not None:
                await _compare(connection, reading, self.memory, standing.now)
        self.memory[read.exchange] = reading
        return True

    async def last(self) -> tuple[list[Reading], datetime]:
        """Return the last reading of each exchange, and the database's time; raises DatabaseUnavailable."""
        async with self._pool.transaction() as connection:
            last = await last_readings(connection, self.memory)
            now = await database_time(connection)
        return last, now

    async def of(self, standings: list[Standing]) -> list[Reading]:
        """Return the readings of standings, without the database unless another process recorded one.

        Raises DatabaseUnavailable.
        """
        kept = [self.memory.get(each.source) for each in standings if each.reading_id is not None]
        ids = [each.reading_id for each in standings if each.reading_id is not None]
        if ids == [None if each is None else each.id for each in kept]:
            return [each for each in kept if each is not None]
        readings, _ = await self.last()
        return readings

    async def sample(self) -> None:
        """Measure the age of the newest reading of each exchange: infinite if it was asked for in vain.

        It is NaN for an exchange that is not asked, and for a bank that was never read.
        """
        ages = dict.fromkeys((*PRICED, ECB), math.nan)
        try:
            async with self._pool.transaction(SAMPLE_SECONDS) as connection:
                asked = await prices.find_asked(connection, PRICED)
                for each in await prices.standings(connection):
                    if each.read_at is None:
                        ages[each.source] = math.inf if each.source in asked else math.nan
                    elif each.source in {*asked, ECB}:
                        ages[each.source] = (each.now - each.read_at).total_seconds()
        except DatabaseUnavailable:
            log.debug("age_of_prices_unknown")
        finally:
            for exchange, seconds in ages.items():
                metrics.PRICES_AGE.labels(exchange).set(seconds)


async def last_readings(connection: Connection, memory: Memory) -> list[Reading]:
    """Return the last reading of each exchange; those that are not in memory yet are read, and then are."""
    standings = await prices.standings(connection)
    readings = [await _reading(connection, each, memory) for each in standings]
    return [each for each in readings if each is not None]


async def _reading(connection: Connection, standing: Standing, memory: Memory) -> Reading | None:
    """Return the reading of a standing, from memory if this process knows it."""
    if standing.reading_id is None or standing.read_at is None:
        return None
    kept = memory.get(standing.source)
    if kept is not None and kept.id == standing.reading_id:
        return kept
    stored = await prices.load(connection, standing.source)
    if stored is None:
        return None
    try:
        read: PricesRead = decode(stored.reading, PricesRead)
        known: dict[str, Known] = decode(stored.known, dict[str, Known])
    except Malformed as error:  # a gateway of another release wrote it
        log.warning("prices_not_readable", exchange=standing.source, reason=str(error))
        return None
    reading = Reading(stored.id, read, Market(read, stored.read_at), known)
    memory[standing.source] = reading
    return reading


def _pegs(others: list[Reading], now: datetime) -> dict[str, Price]:
    """Return the rates of pegged coins that exchanges show now; of several, the last by name counts."""
    found: dict[str, Price] = {}
    for each in others:
        found |= rates_of_pegs(each.market, each.known, now)
    return found


async def _compare(connection: Connection, reading: Reading, memory: Memory, now: datetime) -> None:
    """Write the new findings of the prices of two exchanges about equal names."""
    others = [each for each in await last_readings(connection, memory) if each.read.exchange in PRICED]
    known = {each.read.exchange: each.known for each in others} | {reading.read.exchange: reading.known}
    if len(known) > 1 and (found := compared(known, await assets.list_matches(connection), now)):
        await assets.write_matches(connection, found)


async def _leave(connection: Connection, last: Reading | None, reading: Reading) -> None:
    """Write the prices of the full hour between two readings, and the rates of a fixing."""
    hourly = [] if last is None else points_before(last.known, last.market, reading.market.seen_at)
    if hourly:
        await points.write(connection, hourly)
    fixings = fixings_of(reading.read)
    if fixings and (last is None or last.read.fixed_on != reading.read.fixed_on):
        await points.write_fixings(connection, fixings)


def _is_newer(read: PricesRead, last: Reading | None, now: datetime) -> bool:
    """Return whether rates may replace the last ones: a failed read, an earlier and a future day do not.

    Rates of a future day would keep all later ones out until that day.
    """
    if read.indexes is None or read.fixed_on is None or read.fixed_on > now.astimezone(UTC).date():
        return False
    return last is None or last.read.fixed_on is None or last.read.fixed_on <= read.fixed_on

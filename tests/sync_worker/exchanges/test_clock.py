"""The exchange's clock: how often, and by how many, it is measured."""

import asyncio

import pytest

from sync_worker.errors import ExchangeTimeout
from sync_worker.exchanges.clock import MAX_AGE, MIN_AGE, ExchangeClock

HOST, OTHER = "https://one", "https://two"


class Monotonic:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.seconds


class Exchange:
    """Returns a time that a test sets, after `takes` seconds of the monotonic clock, or raises a fault."""

    def __init__(self, monotonic: Monotonic) -> None:
        self.monotonic = monotonic
        self.time_ms = 5_000_000
        self.takes = 0.0
        self.fault: ExchangeTimeout | None = None
        self.asked: list[str] = []

    async def __call__(self, origin: str) -> int:
        """Answer a call."""
        self.asked.append(origin)
        await asyncio.sleep(0)
        self.monotonic.seconds += self.takes
        if self.fault:
            raise self.fault
        return self.time_ms


@pytest.fixture(name="exchange")
def _exchange() -> Exchange:
    return Exchange(Monotonic())


@pytest.fixture(name="clock")
def _clock(exchange: Exchange) -> ExchangeClock:
    return ExchangeClock(exchange, exchange.monotonic)


async def test_one_asks_for_all(clock: ExchangeClock, exchange: Exchange) -> None:
    """However many syncs start at once, a host is asked once a minute; each host is asked separately."""
    await asyncio.gather(*(clock.measurement(HOST) for _ in range(300)), clock.measurement(OTHER))
    exchange.monotonic.seconds += MAX_AGE - 1
    await clock.measurement(HOST)

    assert exchange.asked == [HOST, OTHER]

    exchange.monotonic.seconds += 2
    await clock.measurement(HOST)

    assert exchange.asked == [HOST, OTHER, HOST]


async def test_time_goes_on_between_measurements(clock: ExchangeClock, exchange: Exchange) -> None:
    """The time sent is the measured one plus the time since the middle of that call."""
    exchange.takes = 0.5
    measurement = await clock.measurement(HOST)

    assert clock.now_ms(measurement) == 5_000_250

    exchange.monotonic.seconds += 30.0

    assert clock.now_ms(measurement) == 5_030_250


async def test_a_time_that_was_not_accepted_is_measured_anew_once(
    clock: ExchangeClock, exchange: Exchange
) -> None:
    """All syncs that were refused with one measurement cause one new call."""
    refused = await clock.measurement(HOST)
    exchange.time_ms = 7_000_000
    exchange.monotonic.seconds += MIN_AGE

    async def again() -> int:
        assert clock.doubt(HOST, refused)
        return clock.now_ms(await clock.measurement(HOST))

    times = await asyncio.gather(*(again() for _ in range(50)))
    assert clock.doubt(HOST, refused)
    await clock.measurement(HOST)

    assert set(times) == {7_000_000}
    assert exchange.asked == [HOST, HOST]


async def test_one_whose_time_is_never_accepted_uses_up_nobody_s_calls(
    clock: ExchangeClock, exchange: Exchange
) -> None:
    """A measurement of this second is not repeated, however often it is refused."""
    for _ in range(50):
        refused = await clock.measurement(HOST)
        exchange.monotonic.seconds += MIN_AGE / 20
        clock.doubt(HOST, refused)

    assert len(exchange.asked) == 3


async def test_a_fault_is_everybody_s_and_is_not_kept(clock: ExchangeClock, exchange: Exchange) -> None:
    """Callers that waited for the call get its fault at once; the next caller measures again."""
    exchange.fault = ExchangeTimeout("It did not answer.")
    results = await asyncio.gather(*(clock.measurement(HOST) for _ in range(9)), return_exceptions=True)

    assert all(isinstance(each, ExchangeTimeout) for each in results)
    assert exchange.asked == [HOST]

    exchange.fault = None

    assert (await clock.measurement(HOST)).exchange_ms == 5_000_000


async def test_one_that_gives_up_does_not_take_the_others_along(
    clock: ExchangeClock, exchange: Exchange
) -> None:
    """All waiting callers share the call."""
    impatient = asyncio.create_task(clock.measurement(HOST))
    patient = asyncio.create_task(clock.measurement(HOST))
    await asyncio.sleep(0)
    impatient.cancel()

    assert (await patient).exchange_ms == 5_000_000
    assert exchange.asked == [HOST]

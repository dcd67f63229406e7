"""The remaining time of a request follows from its age by the bus; the worker's own clock is not used."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from chassis.bus.delivery import Delivery, RetryLater
from chassis.clocks import Clocks
from contracts.wire.envelope import SECONDS_LEFT_HEADER, Malformed
from sync_worker.timing import Left, Timing
from tests.sync_worker.wording import a_request

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
OFF = [-3600, -90, -10, 0, 10, 90, 3600]


def timing(own: float, server: datetime | None = NOW) -> Timing:
    """Return the timing of a worker whose clock is off by so many seconds."""
    clocks = Clocks(lambda: NOW.timestamp() + own, lambda: 1.0)

    async def ask() -> float:
        if server is None:
            raise TimeoutError
        return server.timestamp()

    return Timing(clocks, ask)


def delivery(age: float, left: str | None = "120.000") -> Delivery:
    """Return a delivery of a message that the stream took so many seconds ago."""
    headers = {} if left is None else {SECONDS_LEFT_HEADER: left}
    return Delivery("butler.sync.requested.okx", b"", 1, headers, NOW - timedelta(seconds=age))


@pytest.mark.parametrize("own", OFF)
@pytest.mark.parametrize("database", OFF)
async def test_no_clock_but_the_bus_counts(own: float, database: float) -> None:
    """Whatever the clocks of the worker and the database showed, 120 s less the age are left."""
    request = msgspec.structs.replace(a_request(), deadline=NOW + timedelta(seconds=120 + database))

    assert await timing(own).left(request, delivery(age=30)) == Left(90.0)


async def test_what_waited_in_the_outbox_has_less_left() -> None:
    """Only the time left at the publication counts."""
    assert await timing(0).left(a_request(), delivery(age=5, left="17.5")) == Left(12.5)


@pytest.mark.parametrize("own", OFF)
async def test_a_request_of_before_is_read_by_the_time_of_the_bus(own: float) -> None:
    """It lacks the remaining time: its deadline is compared with the server's clock, not with ours."""
    request = msgspec.structs.replace(a_request(), deadline=NOW + timedelta(seconds=40))

    assert await timing(own).left(request, delivery(age=30, left=None)) == Left(40.0)


async def test_a_request_from_the_future_is_impossible() -> None:
    """It is reported, and not read as one with more or less time."""
    request = msgspec.structs.replace(a_request(), deadline=NOW + timedelta(seconds=40))

    left = await timing(0).left(request, delivery(age=-60))

    assert left.seconds == 40.0
    assert left.impossible


async def test_a_server_that_is_slightly_behind_itself_is_believed() -> None:
    """Two servers of a cluster differ by some seconds."""
    assert await timing(0).left(a_request(), delivery(age=-10)) == Left(120.0)


async def test_without_the_time_of_the_bus_a_request_is_returned() -> None:
    """The worker concludes nothing from its own clock."""
    with pytest.raises(RetryLater):
        await timing(0, server=None).left(a_request(), delivery(age=0))


@pytest.mark.parametrize("text", ["", "soon", "nan", "inf"])
async def test_what_is_no_number_is_malformed(text: str) -> None:
    """A message with an invalid time becomes a dead letter."""
    with pytest.raises(Malformed):
        await timing(0).left(a_request(), delivery(age=0, left=text))

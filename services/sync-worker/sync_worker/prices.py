"""The worker's handler of requests for the public prices of exchanges."""

import time
from collections.abc import Awaitable, Callable, Mapping

import structlog

from chassis import tracing
from chassis.bus.connection import Bus
from chassis.bus.consume import consume
from chassis.bus.delivery import Delivery
from contracts import subjects
from contracts.faults import Code
from contracts.prices import MAX_READING_BYTES, PricesRead, PricesRequested
from contracts.streams import PRICES
from contracts.wire.envelope import Malformed, attributes, decode, encode
from contracts.wire.topology import price_worker_consumer
from sync_worker.budgets.order import Order, Turn, in_turn
from sync_worker.timing import Timing

READ_SECONDS = 10.0
AT_ONCE = 1

# Reads the lists of one source for a request, within some seconds.
ReadPrices = Callable[[PricesRequested, float], Awaitable[PricesRead]]

log = structlog.get_logger()


class Prices:
    """Has public prices read on request; `sources` has the function that reads each."""

    def __init__(self, bus: Bus, sources: Mapping[str, ReadPrices], timing: Timing) -> None:
        self._bus = bus
        self._sources = sources
        self._timing = timing

    def declare(self) -> None:
        """Consume the requests of each source."""
        for key in self._sources:
            consume(self._bus, price_worker_consumer(key), self.read_prices, AT_ONCE, lasting=False)

    async def read_prices(self, delivery: Delivery) -> None:
        """Read the lists of a source once and publish them, with a code for one that could not be read.

        There is no other try: the next request comes within a minute.
        """
        started = time.monotonic()
        request: PricesRequested = decode(delivery.body, PricesRequested)
        read_prices = self._sources.get(request.exchange)
        if read_prices is None:
            raise Malformed("the source is not served here")
        if await self._timing.is_over(delivery):
            log.info("prices_too_late", exchange=request.exchange, request_id=request.request_id)
            return
        with tracing.span("read prices", exchange=request.exchange):
            with in_turn(Turn(Order.PRICES)):
                read = await read_prices(request, READ_SECONDS)
            await self._publish(read)
        _report(read, time.monotonic() - started)

    async def _publish(self, read: PricesRead) -> None:
        """Publish a reading, without its lists if it is too large; raises BusUnavailable."""
        body = encode(read)
        if len(body) > MAX_READING_BYTES:
            read = PricesRead(
                read.exchange, read.request_id, read.read_at, error_code=Code.UNEXPECTED_RESPONSE
            )
            body = encode(read)
        message_id = f"{read.request_id}:prices"
        headers = attributes(read, self._bus.service, message_id)
        await self._bus.publish(subjects.prices_read(read.exchange), PRICES, body, message_id, headers)


def _report(read: PricesRead, seconds: float) -> None:
    log.info(
        "prices_read",
        exchange=read.exchange,
        quotes=None if read.quotes is None else len(read.quotes),
        indexes=None if read.indexes is None else len(read.indexes),
        code=read.error_code,
        seconds=round(seconds, 3),
    )

"""Requests for the public prices of exchanges, one at a time for all gateways together."""

import asyncio
from datetime import timedelta

import structlog
from uuid_utils.compat import uuid7

from chassis.bus.connection import Bus, BusUnavailable
from contracts import subjects
from contracts.exchanges import PRICED
from contracts.prices import ECB, PricesRequested
from contracts.streams import PRICE_REQUESTS
from contracts.wire.envelope import SECONDS_LEFT_HEADER, attributes, encode
from gateway.store import prices
from gateway.store.background import attempt, repeat
from gateway.store.pool import Pool
from gateway.store.prices import Claimed

SOURCE = "gateway"
# A worker that takes a request later than this drops it.
LIFETIME_SECONDS = 30.0

log = structlog.get_logger()


class PriceRequests:
    """Requests the prices of each exchange with connected accounts every so many seconds, and rates rarely.

    A request that is lost is not repeated, because the next one follows soon. So it does not go through the
    outbox, where it would wait during an outage of the bus until it is worth nothing.
    """

    def __init__(self, pool: Pool, bus: Bus, every: float, every_rates: float) -> None:
        self._pool = pool
        self._bus = bus
        self._every = every
        self._every_rates = every_rates

    async def run(self) -> None:
        """Request prices for ever, for the first time at once."""
        await attempt("requesting_prices", self.request_due())
        await repeat("requesting_prices", self.request_due, asyncio.sleep, self._every)

    async def request_due(self) -> None:
        """Request the prices that are due, unless another gateway does."""
        if not self._bus.connected:
            return
        async with self._pool.transaction() as connection:
            claimed = await prices.claim(connection, PRICED, self._every)
            claimed += await prices.claim(connection, [ECB], self._every_rates, for_all=True)
        for each in claimed:
            await self._request(each)

    async def _request(self, claimed: Claimed) -> None:
        deadline = claimed.claimed_at + timedelta(seconds=LIFETIME_SECONDS)
        request = PricesRequested(claimed.source, uuid7(), claimed.claimed_at, deadline)
        message_id = f"{request.request_id}:requested"
        headers = attributes(request, SOURCE, message_id, deadline)
        headers[SECONDS_LEFT_HEADER] = f"{LIFETIME_SECONDS:.3f}"
        subject = subjects.prices_requested(claimed.source)
        try:
            await self._bus.publish_once(subject, PRICE_REQUESTS, encode(request), message_id, headers)
        except BusUnavailable as error:
            log.warning("prices_not_requested", exchange=claimed.source, reason=str(error))

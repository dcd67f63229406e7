"""The exchange's clock: measured once per host and minute, extrapolated by the monotonic clock."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

MAX_AGE = 60.0
# The exchange allows ten requests in two seconds per IP address, and all accounts share ours.
MIN_AGE = 1.0


class Measurement(msgspec.Struct, frozen=True):
    """The exchange's time, milliseconds since the epoch, at a monotonic time in seconds."""

    exchange_ms: int
    at: float


class ExchangeClock:
    """Returns each host's time; `ask` asks an origin for it in milliseconds since the epoch.

    Concurrent callers share one request and its result, the time or the fault. It keeps one measurement per
    origin.
    """

    def __init__(self, ask: Callable[[str], Awaitable[int]], monotonic: Callable[[], float]) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._latest: dict[str, Measurement] = {}
        self._asking: dict[str, asyncio.Task[Measurement]] = {}

    async def measurement(self, origin: str) -> Measurement:
        """Return a measurement of the last minute; raises the Failure of `ask`."""
        latest = self._latest.get(origin)
        if latest is not None and self._monotonic() - latest.at < MAX_AGE:
            return latest
        asking = self._asking.get(origin)
        if asking is None or asking.done():
            asking = self._asking[origin] = asyncio.create_task(self._measure(origin))
        return await asyncio.shield(asking)

    def now_ms(self, measurement: Measurement) -> int:
        """Return the exchange's time now."""
        return measurement.exchange_ms + round((self._monotonic() - measurement.at) * 1000)

    def doubt(self, origin: str, measurement: Measurement) -> bool:
        """Discard a measurement that the exchange did not accept, unless a newer one replaced it meanwhile.

        Returns False for one so recent that another would be the same, because an account with repeatedly
        refused requests must not use up the rate limit of all accounts.
        """
        if self._latest.get(origin) is not measurement:
            return True
        if self._monotonic() - measurement.at < MIN_AGE:
            return False
        del self._latest[origin]
        return True

    async def _measure(self, origin: str) -> Measurement:
        before = self._monotonic()
        exchange_ms = await self._ask(origin)
        # The exchange read its clock about in the middle of the call.
        latest = self._latest[origin] = Measurement(exchange_ms, (before + self._monotonic()) / 2)
        return latest

"""The price of BTC, at which valuations in BTC are shown in USD: one read a minute for all accounts."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

from contracts.faults import Failure

KEPT_SECONDS = 60.0
# After a read that failed.
AGAIN_SECONDS = 5.0


class BtcPrice:
    """Returns the price of one BTC in USDT, at most a minute old; `ask` reads it and raises Failure.

    Concurrent callers share one read and its result.
    """

    def __init__(self, ask: Callable[[], Awaitable[Decimal]], monotonic: Callable[[], float]) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._asking: asyncio.Task[Decimal | None] | None = None
        self._kept_until = 0.0

    async def usd(self) -> Decimal | None:
        """Return the price; None if it is unknown."""
        asking = self._asking
        if asking is None or (asking.done() and self._monotonic() >= self._kept_until):
            asking = self._asking = asyncio.create_task(self._read())
        return await asyncio.shield(asking)

    async def _read(self) -> Decimal | None:
        price: Decimal | None = None
        try:
            price = await self._ask()
        except Failure:
            self._kept_until = self._monotonic() + AGAIN_SECONDS
        else:
            self._kept_until = self._monotonic() + KEPT_SECONDS
        return price

"""A connector behind the gate: it calls its exchange only while that is open to us, or as the probe."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import msgspec

from chassis import metrics
from contracts.credentials import Verified
from contracts.faults import Code, Failure
from contracts.prices import PricesRead, PricesRequested
from contracts.syncs import Rights
from sync_worker.broker import Access
from sync_worker.closures.breaker import closed, probed
from sync_worker.closures.gate import Gate
from sync_worker.closures.hearing import UNREACHED, Heard, Maintenance, heard
from sync_worker.errors import ExchangeClosed
from sync_worker.exchanges.types import Connector
from sync_worker.sync import Reading, nothing_read

STATUS_SECONDS = 3.0
# An answer of the status counts this long, so that a worker asks no more often than the exchange allows.
STATUS_KEPT_SECONDS = 5.0

Found = TypeVar("Found")


class Gated:
    """The connector of one exchange behind the gate of all; `now` is our UTC clock."""

    def __init__(self, inner: Connector, gate: Gate, now: Callable[[], datetime]) -> None:
        self.exchange = inner.exchange
        self._inner = inner
        self._gate = gate
        self._now = now
        self._statuses: dict[str, tuple[float, asyncio.Task[Maintenance | None]]] = {}
        self._settling: set[asyncio.Task[None]] = set()

    async def read_wallets(self, access: Access) -> Reading:
        """Read an account, and learn from it whether the exchange is open; raises ExchangeClosed."""
        probing = await self._gate.enter(self.exchange.key, access.region)
        reading = await self._entered(access.region, self._read(access), probing=probing)
        what = heard(reading, self.exchange.closing_codes)
        if probing:
            await self._settle(access.region, what, access.ends)
        else:
            await self._note(access, what)
        if (
            what is Heard.CLOSED
            and (shut := await self._gate.refusal(self.exchange.key, access.region)) is not None
        ):
            return msgspec.structs.replace(reading, held_back=True, retry_after=shut.retry_after)
        return reading

    async def verify(self, access: Access) -> Verified:
        """Read the owner and the rights of the key; raises Failure, ExchangeClosed at once while closed."""
        return await self._asked(access, self._inner.verify)

    async def read_rights(self, access: Access) -> Rights:
        """Read only the account and the rights of the key; raises Failure as `verify` does."""
        return await self._asked(access, self._inner.read_rights)

    async def read_status(self, region: str, seconds: float) -> Maintenance | None:
        """Read the maintenance that the exchange announces; raises Failure."""
        return await self._inner.read_status(region, seconds)

    async def read_prices(self, request: PricesRequested, seconds: float) -> PricesRead:
        """Read the public lists of prices, and none while the exchange is closed.

        They say little of accounts, so they are a probe only if no account has come for as long as one.
        """
        key, region = self.exchange.key, self.exchange.regions[0].key
        try:
            probing = await self._gate.enter(key, region, late=self._gate.pace.longest)
        except ExchangeClosed as shut:
            return PricesRead(key, request.request_id, self._now(), error_code=shut.code)
        read = await self._entered(region, self._inner.read_prices(request, seconds), probing=probing)
        if probing:
            await self._settle(region, _of_code(read.error_code), time.monotonic() + STATUS_SECONDS)
        return read

    async def _read(self, access: Access) -> Reading:
        try:
            return await self._inner.read_wallets(access)
        except Failure as fault:
            return nothing_read(self.exchange, fault)

    async def _asked(self, access: Access, ask: Callable[[Access], Awaitable[Found]]) -> Found:
        """Ask for a key; one endpoint says that a region is open, and not that it is closed."""
        probing = await self._gate.enter(self.exchange.key, access.region)
        try:
            found = await self._entered(access.region, ask(access), probing=probing)
        except Failure as fault:
            what = heard(nothing_read(self.exchange, fault), self.exchange.closing_codes)
            await self._told(access, what, probing=probing)
            shut = (
                await self._gate.refusal(self.exchange.key, access.region) if what is Heard.CLOSED else None
            )
            raise (shut or fault) from None
        await self._told(access, Heard.ANSWERS, probing=probing)
        return found

    async def _told(self, access: Access, what: Heard, *, probing: bool) -> None:
        if probing:
            await self._settle(access.region, what, access.ends)
        elif what is Heard.ANSWERS:
            await self._note(access, what)

    async def _entered(self, region: str, work: Awaitable[Found], *, probing: bool) -> Found:
        """Do work; a probe that is cut off, for example by its deadline, counts as one without an answer."""
        try:
            return await work
        except Failure:
            raise
        except BaseException as error:
            if probing:
                silent = isinstance(error, asyncio.CancelledError)
                self._settling_of(region, Heard.SILENT if silent else Heard.NOTHING, time.monotonic())
            raise

    async def _note(self, access: Access, what: Heard) -> None:
        """Learn from a try while the region is open; one that failed wholly asks for the status."""
        key, region = self.exchange.key, access.region
        breaker = self._gate.breakers.get((key, region))
        if breaker is None or breaker.closure is not None:
            return
        said = await self._status(region, access.ends) if what is Heard.CLOSED else None
        if breaker.note(access.credential_id, what) or said is not None:
            await self._gate.change(key, region, partial(closed, pace=self._gate.pace, said=said))

    async def _settle(self, region: str, what: Heard, ends_at: float) -> None:
        """End a probe with its result, even if the try that was the probe is cancelled meanwhile."""
        await asyncio.shield(self._settling_of(region, what, ends_at))

    def _settling_of(self, region: str, what: Heard, ends_at: float) -> asyncio.Task[None]:
        task = asyncio.create_task(self._end_probe(region, what, ends_at))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        return task

    async def _end_probe(self, region: str, what: Heard, ends_at: float) -> None:
        ask = what in (Heard.CLOSED, Heard.SILENT)
        said = await self._status(region, ends_at) if ask else None
        metrics.EXCHANGE_PROBES.labels(self.exchange.key, region, what.name.lower()).inc()
        pace = self._gate.pace
        await self._gate.change(
            self.exchange.key, region, lambda before, now: probed(before, what, now, pace, said)
        )

    async def _status(self, region: str, ends_at: float) -> Maintenance | None:
        """Return the maintenance that is under way; a status that is refused or late says nothing."""
        seconds = min(STATUS_SECONDS, ends_at - time.monotonic())
        if self.exchange.status_read is None or seconds <= 0:
            return None
        asked_at, asking = self._statuses.get(region, (-STATUS_KEPT_SECONDS, None))
        if asking is None or time.monotonic() - asked_at >= STATUS_KEPT_SECONDS:
            asking = asyncio.create_task(_quietly(self._inner.read_status(region, STATUS_SECONDS)))
            self._statuses[region] = time.monotonic(), asking
        await asyncio.wait({asking}, timeout=seconds)
        return asking.result() if asking.done() else None


async def _quietly(asking: Coroutine[Any, Any, Maintenance | None]) -> Maintenance | None:
    try:
        return await asking
    except Failure:
        return None


def _of_code(code: str | None) -> Heard:
    """Return the evidence that a reading of prices gives by its code."""
    if code is None:
        return Heard.ANSWERS
    if code == Code.EXCHANGE_UNAVAILABLE:
        return Heard.CLOSED
    return Heard.SILENT if code in UNREACHED else Heard.NOTHING

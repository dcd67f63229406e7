"""Lets work pass to the regions that are open, and one probe at a time to a closed one, for all workers."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from uuid import uuid4

import msgspec
import structlog

from chassis import metrics
from chassis.bus.connection import Bus, BusUnavailable
from chassis.bus.consume import hear
from chassis.health import Check
from contracts import subjects
from contracts.closures import MAX_SECONDS, Closure, Closures, RegionTold
from contracts.exchanges.types import Exchange
from contracts.wire.envelope import Malformed, decode, encode
from sync_worker.budgets.bucket import Values
from sync_worker.budgets.leasing import ServerTime
from sync_worker.closures.breaker import Breaker, claimed, shown
from sync_worker.errors import ExchangeClosed
from sync_worker.settings import Pace

# A worker that missed an announcement knows as soon as this.
EVERY_SECONDS = 10.0
TRIES = 8

# Returns the closure of a region after a change at the time of the server.
Change = Callable[[Closure | None, float], Closure | None]

log = structlog.get_logger()


class Gate:
    """The regions of all exchanges as the workers of one egress address know them.

    The truth is a value in the bucket. On a bus without it, or while the bus is away, each has its own.
    """

    def __init__(
        self, bus: Bus, exchanges: Mapping[str, Exchange], group: str, server_time: ServerTime, pace: Pace
    ) -> None:
        self.pace = pace
        self.breakers = {
            (key, region.key): Breaker() for key, exchange in exchanges.items() for region in exchange.regions
        }
        self._exchanges = tuple(exchanges)
        self._values = Values(bus, partial(subjects.closures, group), Closures)
        self._bus, self._group, self._server_time = bus, group, server_time
        self._worker = uuid4().hex
        self._locks = {key: asyncio.Lock() for key in exchanges}
        self._sequences: dict[str, int] = {}
        self._ahead = 0.0

    def declare(self) -> None:
        """Subscribe to the announcements of other workers."""
        hear(self._bus, subjects.region_told(self._group, "*"), self.on_announcement)

    async def keep(self) -> None:
        """Read all closures regularly, for as long as the process runs."""
        while True:
            for exchange in self._exchanges:
                await self.refresh(exchange)
            await asyncio.sleep(EVERY_SECONDS)

    async def enter(self, exchange: str, region: str, late: float = 0.0) -> bool:
        """Let work pass to a region; return whether it is the probe of a closed one.

        With `late` it is a probe only that long after one was due. Raises ExchangeClosed.
        """
        breaker = self.breakers.get((exchange, region))
        if breaker is None:
            return False
        if exchange not in self._sequences:
            await self.refresh(exchange)
        if await self.refusal(exchange, region) is None:
            return False
        if await self._claim(exchange, region, breaker, late):
            return True
        if (refusal := await self.refusal(exchange, region)) is not None:
            raise refusal
        return False

    async def refusal(self, exchange: str, region: str) -> ExchangeClosed | None:
        """Return the fault of work that does not pass while a region is closed."""
        breaker = self.breakers.get((exchange, region))
        closure = None if breaker is None else breaker.closure
        return None if closure is None else ExchangeClosed(closure.reason, shown(closure, await self.now()))

    async def change(self, exchange: str, region: str, change: Change) -> bool:
        """Change the closure of a region for all workers; return whether that changed anything.

        Without the bucket it changes for this worker, and for workers that hear the announcement.
        """
        async with self._locks[exchange]:
            return await self._change(exchange, region, change)

    async def refresh(self, exchange: str) -> None:
        """Read the closures of an exchange from the bucket, if it has been written."""
        async with self._locks[exchange]:
            try:
                sequence, closures = await self._values.read(exchange)
            except BusUnavailable:
                self._sequences.setdefault(exchange, 0)
                return
            if sequence:
                self._take_over(exchange, closures)
            self._sequences[exchange] = sequence

    async def on_announcement(self, subject: str, body: bytes) -> None:
        """Take over the closure that another worker announced, unless this one has a newer value.

        A worker that lost the bucket announces without a sequence; the next refresh corrects errors.
        """
        exchange = subject.rpartition(".")[2]
        with suppress(Malformed):
            said: RegionTold = decode(body, RegionTold)
            news = said.sequence == 0 or said.sequence > self._sequences.get(exchange, 0)
            if said.worker == self._worker or (exchange, said.region) not in self.breakers or not news:
                return
            self._sequences[exchange] = said.sequence
            until = await self.now() + said.seconds
            closure = None
            if said.reason is not None:
                closure = Closure(said.reason, said.since, until, said.probes, said.probing)
            self._learn(exchange, said.region, closure)

    async def now(self) -> float:
        """Return the server's time; without an answer, its last known time carried on by our own clock."""
        known = await self._server_time(False)  # noqa: FBT003 - of a port
        if known is None:
            return time.monotonic() + self._ahead
        self._ahead = known.timestamp() - time.monotonic()
        return known.timestamp()

    def checks(self) -> dict[str, Check]:
        """Return the checks that no region is closed: they limit the worker, and do not stop it."""
        return {f"exchange/{key}/{region}": partial(self._open, key, region) for key, region in self.breakers}

    async def sample(self) -> None:
        """Show which regions are closed, and how long until the next look."""
        now = await self.now()
        metrics.EXCHANGE_CLOSED.clear()
        for (exchange, region), breaker in self.breakers.items():
            metrics.EXCHANGE_CLOSED_SECONDS.labels(exchange, region).set(breaker.wait(now))
            if breaker.closure is not None:
                metrics.EXCHANGE_CLOSED.labels(exchange, region, breaker.closure.reason).set(1)

    async def _claim(self, exchange: str, region: str, breaker: Breaker, late: float) -> bool:
        """Return whether this try is the probe; of simultaneous tries, one at a time asks the bus."""
        async with self._locks[exchange]:
            due = breaker.closure is not None and breaker.wait(await self.now() - late) == 0.0
            return due and await self._change(exchange, region, claimed)

    async def _change(self, exchange: str, region: str, change: Change) -> bool:
        try:
            return await self._change_all(exchange, region, change)
        except BusUnavailable:
            known = self.breakers[exchange, region].closure
            closure = change(known, await self.now())
            if closure == known:
                return False
            await self._learn_and_tell(exchange, region, closure, 0)
            return True

    async def _change_all(self, exchange: str, region: str, change: Change) -> bool:
        """Change by compare and set; raises BucketMissing and BusUnavailable."""
        for _ in range(TRIES):
            sequence, closures = await self._values.read(exchange)
            before = closures.regions.get(region) if sequence else self.breakers[exchange, region].closure
            closure = change(before, await self.now())
            if closure == before:
                self._sequences[exchange] = sequence
                self._learn(exchange, region, closure)
                return False
            regions = {key: each for key, each in closures.regions.items() if key != region}
            regions |= {} if closure is None else {region: closure}
            written = await self._values.write(exchange, Closures(regions), sequence)
            if written is not None:
                await self._learn_and_tell(exchange, region, closure, written)
                return True
        raise BusUnavailable("Other workers write the closed exchanges all the time.")

    async def _learn_and_tell(
        self, exchange: str, region: str, closure: Closure | None, sequence: int
    ) -> None:
        self._sequences[exchange] = sequence
        self._learn(exchange, region, closure)
        said = RegionTold(self._worker, region, sequence)
        if closure is not None:
            seconds = min(max(0.0, closure.until - await self.now()), MAX_SECONDS)
            said = msgspec.structs.replace(
                said,
                reason=closure.reason,
                seconds=seconds,
                since=closure.since,
                probes=closure.probes,
                probing=closure.probing,
            )
        await self._bus.announce(subjects.region_told(self._group, exchange), encode(said))

    def _take_over(self, exchange: str, closures: Closures) -> None:
        for key, region in self.breakers:
            if key == exchange:
                self._learn(exchange, region, closures.regions.get(region))

    def _learn(self, exchange: str, region: str, closure: Closure | None) -> None:
        breaker = self.breakers[exchange, region]
        before = breaker.closure
        breaker.learn(closure)
        if closure is not None and (before is None or before.reason != closure.reason):
            log.warning("exchange_closed", exchange=exchange, region=region, reason=closure.reason)
        elif closure is None and before is not None:
            log.info("exchange_open", exchange=exchange, region=region, probes=before.probes)

    async def _open(self, exchange: str, region: str) -> bool:
        return self.breakers[exchange, region].closure is None

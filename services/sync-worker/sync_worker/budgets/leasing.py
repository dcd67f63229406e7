"""Keeps this worker's leases of all budgets, and tells the other workers of refusals."""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from uuid import uuid4

import msgspec
import structlog

from chassis import metrics
from chassis.bus.connection import Bus, BusUnavailable
from chassis.bus.consume import hear
from contracts import subjects
from contracts.budgets import MAX_WORKERS, BudgetRefused, Leases, Shrunk
from contracts.wire.envelope import Malformed, decode, encode
from sync_worker.budgets.bucket import Bucket, BucketMissing, Entry
from sync_worker.budgets.governor import Governor
from sync_worker.budgets.line import Line
from sync_worker.budgets.shares import LEASE_SECONDS, MARGIN_SECONDS, Need, Share, alone, believable, renewed
from sync_worker.budgets.sizes import merged, refused

# A lease is renewed three times in its life, and sooner while calls wait or a budget is shrunk.
EVERY_SECONDS = LEASE_SECONDS / 3
SOON_SECONDS = 1.0
# Not more often, whatever happens.
LEAST_SECONDS = 0.2
TRIES = 8
# After another worker wrote first: a random wait up to this, longer with each try.
CONFLICT_SECONDS = 0.02
SPREAD = 0.2
# Within this time all workers with a lease renew it.
SETTLED_SECONDS = EVERY_SECONDS * (1 + SPREAD) + 1.0

# Returns the time of the NATS server, asked for anew if so told; None while it is unknown.
ServerTime = Callable[[bool], Awaitable[datetime | None]]

log = structlog.get_logger()


class Leasing:
    """Renews the leases of one worker behind an egress address.

    While the bus is away its slices end with their leases. On a bus without the bucket it uses a small fixed
    share, as if there were seven more workers.
    """

    def __init__(self, bus: Bus, governor: Governor, group: str, server_time: ServerTime) -> None:
        self._bus = bus
        self._governor = governor
        self._bucket = Bucket(bus, group)
        self._group = group
        self._server_time = server_time
        self._worker = uuid4().hex
        self._nudges = {key: asyncio.Event() for key in governor.lines}
        self._refused: dict[str, dict[str, Shrunk]] = {key: {} for key in governor.lines}
        self._known: dict[str, Leases] = {}
        self._returning: dict[str, bool] = dict.fromkeys(governor.lines, False)
        self._leased_until: dict[str, float] = {}
        self._state: dict[str, str] = {}
        governor.on_refusal = self._on_refusal
        governor.on_shortage = self._nudge
        self._telling: set[asyncio.Task[None]] = set()

    def declare(self) -> None:
        """Hear of the refusals that other workers meet."""
        hear(self._bus, subjects.budget_refused(self._group, "*"), self.on_announcement)

    async def keep(self) -> None:
        """Renew the leases of all exchanges for as long as the process runs."""
        await asyncio.gather(*(self._keep(line) for line in self._governor.lines.values()))

    async def on_announcement(self, subject: str, body: bytes) -> None:
        """Begin no call of a budget that another worker's exchange refused, and read the leases anew."""
        exchange = subject.rpartition(".")[2]
        with suppress(Malformed):
            said: BudgetRefused = decode(body, BudgetRefused)
            self._governor.pause(exchange, said.budget, said.seconds)
        if exchange in self._nudges:
            self._nudge(exchange)

    async def renew(self, line: Line) -> bool:
        """Renew the lease of one exchange once; return whether the worker may use its places."""
        key = line.exchange.key
        try:
            await self._renew(line)
        except BusUnavailable as error:
            # Not every server says that it has no such stream: it may leave the question unanswered.
            missing = isinstance(error, BucketMissing) or (self._unleased(key) and await self._answers())
            if not missing or self._governor.clock() < self._leased_until.get(key, 0.0):
                self._note_away(key, str(error))
                return False
            self._use_alone(line, str(error))
        return True

    async def _keep(self, line: Line) -> None:
        key = line.exchange.key
        while True:
            self._nudges[key].clear()
            kept = await self.renew(line)
            short = not kept or line.is_short
            every = SOON_SECONDS if short else EVERY_SECONDS
            # At its start a worker has no lease until the bus is connected.
            pause = (every if key in self._state else LEAST_SECONDS) * random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311
            least = pause if short else LEAST_SECONDS
            await asyncio.sleep(least)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._nudges[key].wait(), pause - least)

    async def _renew(self, line: Line) -> None:
        """Renew by compare and set; raises BucketMissing and BusUnavailable."""
        key = line.exchange.key
        need = self._need(line)
        for attempt in range(1, TRIES + 1):
            began, now = time.monotonic(), await self._now()
            budgets = {name: each.budget for name, each in line.slices.items()}
            read = await self._bucket.read(key)
            if believable(read.leases, budgets, now) != read.leases:  # the server's clock may have been set
                now = await self._now(anew=True)
            entry = self._marked(line, read, now)
            refusals = dict(self._refused[key])
            shrunk = merged(merged(entry.leases.shrunk, self._shrunk(key)), refusals)
            told = msgspec.structs.replace(entry.leases, shrunk=shrunk)
            leases, shares = renewed(told, self._worker, need, budgets, now)
            sequence = await self._bucket.write(key, leases, entry.sequence)
            if sequence is not None:
                self._use(line, leases, shares, began + LEASE_SECONDS - MARGIN_SECONDS, refusals)
                new = sequence <= len(self._nudges) and not any(need.held.values())
                if new and leases.settled:  # a new bucket: no worker can have had a lease
                    await self._bucket.write(key, msgspec.structs.replace(leases, settled=0.0), sequence)
                    self._nudge(key)
                return
            await asyncio.sleep(random.uniform(0.0, CONFLICT_SECONDS * attempt))  # noqa: S311 - jitter
        raise BusUnavailable("Other workers write their leases all the time.")

    def _marked(self, line: Line, entry: Entry, now: float) -> Entry:
        """Return the leases, or after a loss of the bucket with a mark that lets no worker get more for now.

        A worker that misses its own lease knows of the loss. A new one can not, so it waits for the others.
        """
        if self._worker in entry.leases.workers:
            return entry
        budgets = [each.budget for each in line.slices.values()]
        until = entry.leases.settled
        if self._governor.clock() < self._leased_until.get(line.exchange.key, 0.0):
            until = max(until, now + LEASE_SECONDS + max(each.seconds for each in budgets))
        elif not entry.leases.workers and not until:
            until = now + SETTLED_SECONDS
        return Entry(entry.sequence, msgspec.structs.replace(entry.leases, settled=until))

    def _need(self, line: Line) -> Need:
        now = self._governor.clock()
        return Need(
            {key: each.busy(now) for key, each in line.slices.items()},
            {key: each.wants(now) for key, each in line.slices.items()},
            {key: each.limit or 0 for key, each in line.slices.items()},
            self._returning[line.exchange.key],
        )

    def _use(
        self,
        line: Line,
        leases: Leases,
        shares: dict[str, Share],
        until: float,
        told: Mapping[str, Shrunk],
    ) -> None:
        key = line.exchange.key
        self._returning[key], self._known[key] = False, leases
        # Another refusal may have come while this value was written.
        newer = {name: each for name, each in self._refused[key].items() if told.get(name) is not each}
        self._refused[key] = newer
        self._governor.apply(key, shares, until)
        if self._worker in leases.workers:
            self._leased_until[key] = until
            self._say(key, "leased")
        else:
            self._say(key, "away", f"{MAX_WORKERS} workers share the address, and no more can.")

    def _unleased(self, key: str) -> bool:
        """Return whether this worker has long had no lease, so that it is no short outage."""
        return self._governor.clock() - self._leased_until.get(key, -math.inf) > LEASE_SECONDS

    def _note_away(self, key: str, reason: str) -> None:
        """Note that the bus is away, if this worker has had its part of the budgets before."""
        if key in self._state:
            self._say(key, "away", reason)
            self._returning[key] = True

    def _use_alone(self, line: Line, reason: str) -> None:
        self._governor.apply(
            line.exchange.key,
            alone({k: e.budget for k, e in line.slices.items()}),
            time.monotonic() + LEASE_SECONDS,
        )
        self._say(line.exchange.key, "alone", reason)

    def _on_refusal(self, exchange: str, budget: str, pause: float | None, used: int) -> None:
        """Tell the other workers of a refusal, in the bucket and at once."""
        task = asyncio.create_task(self._tell(exchange, budget, pause, used))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, exchange: str, budget: str, pause: float | None, used: int) -> None:
        with suppress(BusUnavailable):
            now = await self._now()
            known = self._known.get(exchange, Leases())
            before = merged(self._shrunk(exchange), self._refused[exchange]).get(budget)
            others = sum(
                lease.places.get(budget, 0)
                for name, lease in known.workers.items()
                if name != self._worker and now < lease.ends
            )
            table = self._governor.lines[exchange].slices[budget].budget
            shrunk = self._refused[exchange][budget] = refused(table, before, now, pause, used + others)
            body = encode(BudgetRefused(budget, max(0.0, shrunk.until - now)))
            await self._bus.announce(subjects.budget_refused(self._group, exchange), body)
        self._nudge(exchange)

    def _shrunk(self, exchange: str) -> Mapping[str, Shrunk]:
        """Return the shrunk budgets as this worker knew them last; a lost bucket does not."""
        return self._known.get(exchange, Leases()).shrunk

    def _nudge(self, exchange: str) -> None:
        self._nudges[exchange].set()

    async def _now(self, *, anew: bool = False) -> float:
        now = await self._server_time(anew)
        if now is None:
            raise BusUnavailable("The server's time is not known.")
        return now.timestamp()

    async def _answers(self) -> bool:
        with suppress(BusUnavailable):
            await self._now()
            return await self._bus.ready()
        return False

    def _say(self, exchange: str, state: str, reason: str = "") -> None:
        """Log and show whether this worker has a lease."""
        metrics.BUDGET_LEASED.labels(exchange).set(state == "leased")
        if self._state.get(exchange) != state:
            self._state[exchange] = state
            level = log.info if state == "leased" else log.warning
            level(f"budgets_{state}", exchange=exchange, **({"reason": reason} if reason else {}))

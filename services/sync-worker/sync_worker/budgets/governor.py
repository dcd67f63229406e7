"""Lets each call to an exchange wait for its place in the budgets of our address, or refuses it at once."""

import asyncio
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self

import structlog

from chassis import metrics
from chassis.health import Check
from contracts.exchanges.types import Budget, Exchange
from contracts.faults import Failure
from sync_worker.budgets.line import Costs, Line, Waiting
from sync_worker.budgets.order import TURN, Order
from sync_worker.budgets.refusals import refused_budget
from sync_worker.budgets.shares import Share
from sync_worker.budgets.sizes import MOST_PAUSE
from sync_worker.errors import HeldBack

# A call needs some time itself after its wait.
CALL_SECONDS = 0.9
# Without a time from the exchange, or an estimate, a try comes back after about this long.
AGAIN_SECONDS = 2.0
# A worker that asks for another lease has it within this time, if the bus answers.
LEASE_SECONDS = 1.5
# Our own queue may shorten, so a request comes back to look sooner than the longest estimates.
LONGEST_SECONDS = 20.0

# Hears of a refusal: exchange, budget, the seconds that the exchange asks for, and the weight in use.
OnRefusal = Callable[[str, str, float | None, int], None]

log = structlog.get_logger()


class Governor:
    """The lines of all exchanges; one that has none is not governed.

    `reaches_bus` says whether the bus is connected: without it only calls that are signed already begin.
    """

    def __init__(
        self,
        tables: Mapping[str, tuple[Exchange, Mapping[str, Budget]]],
        reaches_bus: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lines = {key: Line(exchange, budgets) for key, (exchange, budgets) in tables.items()}
        for key, line in self.lines.items():
            for budget in line.slices:  # the series begins, so that the first refusal shows as an increase
                metrics.BUDGET_REFUSALS.labels(key, budget)
        self.clock = clock
        self.on_refusal: OnRefusal = _ignored
        self.on_shortage: Callable[[str], None] = lambda _exchange: None
        self._reaches_bus = reaches_bus
        self._begun: dict[tuple[str, int], asyncio.Future[None]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._applied: dict[str, asyncio.Event] = {}

    def call(self, exchange: str, read: str, seconds: float) -> "Call":
        """Return a context for one call, which begins when the budgets allow it and ends within seconds."""
        return Call(self, exchange, read, seconds)

    async def require(self, exchange: str, reads: Sequence[str], seconds: float) -> None:
        """Raise HeldBack if these reads could not all begin in time, before any of them is signed."""
        line = self.lines.get(exchange)
        if line is None:
            return
        await self._grow(line, line.together(reads), seconds)
        costs, now = line.together(reads), self.clock()
        estimate = line.estimate(costs, TURN.get().order, now)
        if estimate > max(0.0, seconds - CALL_SECONDS):
            raise held_back(exchange, TURN.get().order, estimate, paused(costs, now))

    async def begin(self, line: Line, read: str, costs: Costs, seconds: float) -> None:
        """Wait until a call may begin, and count it; raises HeldBack if that is not in time."""
        turn, now, key = TURN.get(), self.clock(), line.exchange.key
        if not self._reaches_bus() and read not in line.exchange.reads:
            raise held_back(key, turn.order, AGAIN_SECONDS)
        if line.begins_now(costs, turn.order, now):
            return
        await self._grow(line, costs, seconds)
        estimate = line.estimate(costs, turn.order, now)
        if estimate > max(0.0, seconds - CALL_SECONDS):
            raise held_back(key, turn.order, estimate, paused(costs, now))
        try:
            async with asyncio.timeout(max(0.0, seconds - CALL_SECONDS - (self.clock() - now))):
                await self._turn_of(line, line.join(turn, costs, now))
        except TimeoutError:
            raise held_back(key, turn.order, AGAIN_SECONDS) from None
        finally:
            metrics.BUDGET_WAITS.labels(key, turn.order.name.lower()).observe(self.clock() - now)

    def look(self, exchange: str) -> None:
        """Begin the calls of an exchange that may, and look again when the next one may."""
        line = self.lines[exchange]
        if (timer := self._timers.pop(exchange, None)) is not None:
            timer.cancel()
        admitted, wait = line.admit(self.clock())
        for waiting in admitted:
            if (begun := self._begun[exchange, waiting.number]).done():  # it was given up at this moment
                line.end(waiting.costs, self.clock())
            else:
                begun.set_result(None)
        if math.isfinite(wait):
            loop = asyncio.get_running_loop()
            self._timers[exchange] = loop.call_later(wait, self.look, exchange)

    async def sample(self) -> None:
        """Show sizes, shares, use and pauses."""
        now = self.clock()
        for key, line in self.lines.items():
            for name, each in line.slices.items():
                size = line.sizes[name]
                metrics.BUDGET_SIZES.labels(key, name).set(-1 if size is None else size)
                metrics.BUDGET_SHARES.labels(key, name).set(-1 if each.limit is None else each.limit)
                metrics.BUDGET_USED.labels(key, name).set(each.busy(now))
                metrics.BUDGET_PAUSED.labels(key, name).set(max(0.0, each.paused_until - now))

    def checks(self) -> dict[str, Check]:
        """Return the checks that no refusal forbids all calls to an exchange; they only limit the worker."""
        return {f"exchange/{key}": partial(self._is_admitted, line) for key, line in self.lines.items()}

    def apply(self, exchange: str, shares: Mapping[str, Share], valid_until: float) -> None:
        """Use the shares of a lease until its end by the monotonic clock."""
        self.lines[exchange].apply(shares, valid_until, self.clock())
        if (applied := self._applied.pop(exchange, None)) is not None:
            applied.set()
        self.look(exchange)

    def pause(self, exchange: str, budget: str, seconds: float) -> None:
        """Begin no call of a budget for some seconds and a bit, by chance, so that workers differ."""
        line = self.lines.get(exchange)
        if line is None or (paused := line.slices.get(budget)) is None:
            return
        jitter = random.uniform(0.0, paused.budget.seconds / 4)  # noqa: S311 - jitter, no secret
        paused.pause(min(seconds, MOST_PAUSE) + jitter, self.clock())

    def ended(self, line: Line, read: str, costs: Costs, error: BaseException | None) -> None:
        """Count the end of a call, and note if it was refused by a limit of our address."""
        now, key = self.clock(), line.exchange.key
        line.end(costs, now)
        # Held back, the call was not sent, so that no limit refused it.
        fault = error if isinstance(error, Failure) and not isinstance(error, HeldBack) else None
        budget = refused_budget(line.exchange, read, fault) if fault is not None else None
        if budget is not None and fault is not None:
            used = line.slices[budget].busy(now)
            metrics.BUDGET_REFUSALS.labels(key, budget).inc()
            log.warning("address_refused", exchange=key, budget=budget, seconds=fault.retry_after)
            self.pause(key, budget, fault.retry_after or line.slices[budget].budget.seconds)
            self.on_refusal(key, budget, fault.retry_after, used)
        if line.is_short:
            self.look(key)

    async def _is_admitted(self, line: Line) -> bool:
        now = self.clock()
        return not any(each.budget.counts_all and each.paused_until > now for each in line.slices.values())

    async def _grow(self, line: Line, costs: Costs, seconds: float) -> None:
        """Wait for the next lease if calls could not begin in time with this one, and another has more.

        The part of a worker without work may be too small to begin any sync, and grows only if it says so.
        """
        now, key = self.clock(), line.exchange.key
        in_time = line.estimate(costs, TURN.get().order, now) <= max(0.0, seconds - CALL_SECONDS)
        if in_time or paused(costs, now) > 0 or not line.want(costs, now):
            return
        applied = self._applied.setdefault(key, asyncio.Event())
        self.on_shortage(key)
        with suppress(TimeoutError):
            await asyncio.wait_for(applied.wait(), min(LEASE_SECONDS, seconds))

    async def _turn_of(self, line: Line, waiting: Waiting) -> None:
        """Wait until the turn of a call that has joined its line."""
        key = line.exchange.key
        begun = self._begun[key, waiting.number] = asyncio.get_running_loop().create_future()
        try:
            self.on_shortage(key)
            self.look(key)
            await begun
        except BaseException:
            if begun.done() and not begun.cancelled():  # it began, and is not sent
                line.end(waiting.costs, self.clock())
            raise
        finally:
            del self._begun[key, waiting.number]
            with suppress(ValueError):  # it has begun
                line.leave(waiting, self.clock())


class Call:
    """One call: `seconds` are left for it once it has begun."""

    def __init__(self, governor: Governor, exchange: str, read: str, seconds: float) -> None:
        self._governor = governor
        self._line = governor.lines.get(exchange)
        self._read = read
        self.seconds = seconds
        self._costs: Costs = ()

    async def __aenter__(self) -> Self:
        """Wait for the call's turn; raises HeldBack."""
        if self._line is not None:
            entered, costs = self._governor.clock(), self._line.costs(self._read)
            await self._governor.begin(self._line, self._read, costs, self.seconds)
            self._costs = costs
            self.seconds -= self._governor.clock() - entered
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Count the end of the call."""
        if self._line is not None:
            self._governor.ended(self._line, self._read, self._costs, error)

    def used(self, numbers: Mapping[str, int]) -> None:
        """Take over the weights that the exchange says our address has used, by budget."""
        if self._line is not None:
            for key, number in numbers.items():
                if (each := self._line.slices.get(key)) is not None:
                    each.take_over(number, self._line.sizes[key] or 0, self._governor.clock())


def paused(costs: Costs, now: float) -> float:
    """Return the seconds for which refusals of our address forbid a call."""
    return max((each.paused_until - now for each, _ in costs), default=0.0)


def held_back(exchange: str, order: Order, seconds: float, pause: float = 0.0) -> HeldBack:
    """Return the fault of a call that could not be sent in time; a try after the seconds may be.

    It is not sooner than the end of a `pause`, which nothing of ours shortens.
    """
    metrics.BUDGET_HELD_BACK.labels(exchange, order.name.lower()).inc()
    return HeldBack(max(pause, min(max(seconds, AGAIN_SECONDS), LONGEST_SECONDS)))


def ungoverned() -> Governor:
    """Return a governor without budgets, for programs that call an exchange by themselves."""
    return Governor({})


def _ignored(_exchange: str, _budget: str, _seconds: float | None, _used: int) -> None:
    """Ignore a refusal."""

"""One worker's part of one budget, counted without a question to other workers. Pure, with a clock given.

Times are in seconds, by a monotonic clock.
"""

import math
from collections import deque

from contracts.exchanges.types import Budget
from sync_worker.budgets.order import Order

# Work of the schedule and prices use at most this share of a budget.
SHARE_OF_SCHEDULED = 0.8


class Slice:
    """The places of a budget that this worker may use until `valid_until`; a `limit` of None is unlimited.

    A call takes places from its begin until the window after its end: the exchange counts it at some time in
    between. Calls begin evenly spread over the window, unless the exchange allows bursts.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.limit: int | None = 0 if budget.most else None
        self.valid_until = -math.inf
        self.paused_until = -math.inf
        self.waiting = 0
        self._running = 0
        self._cooling: deque[tuple[float, int]] = deque()
        self._cooling_weight = 0
        self._next = -math.inf
        self._peak = 0

    def busy(self, now: float) -> int:
        """Return the weight of the calls that the exchange may still count."""
        cooling = self._cooling
        while cooling and cooling[0][0] <= now:
            self._cooling_weight -= cooling.popleft()[1]
        return self._running + self._cooling_weight

    def wait(self, weight: int, order: Order, now: float) -> float:
        """Return the seconds until a call may begin, 0 for now; infinite if that depends on other events."""
        pause = self.paused_until - now
        if self.limit is None:
            return max(0.0, pause)
        if now >= self.valid_until:
            return math.inf
        missing = self.busy(now) + weight - self._allowed(order)
        earliest = max(0.0, pause, self._next - now)
        if missing <= 0:
            return earliest
        for over_at, cooled in self._cooling:
            missing -= cooled
            if missing <= 0:
                return max(earliest, over_at - now)
        return math.inf

    def estimate(self, weight: int, ahead: int, order: Order, now: float) -> float:
        """Return about how many seconds a call of this weight waits behind others; 0 if that is unknown."""
        pause = max(0.0, self.paused_until - now)
        if self.limit is None or not self.limit or now >= self.valid_until:
            return pause
        allowed = self._allowed(order)
        missing = ahead + weight - max(0, allowed - self.busy(now))
        return pause + max(0, missing) * self.budget.seconds / allowed

    def begin(self, weight: int, now: float) -> None:
        """Count a call that begins."""
        self._running += weight
        if self.limit and not self.budget.bursts:
            self._next = now + weight * self.budget.seconds / self.limit
        self._note_peak(now)

    def end(self, weight: int, now: float) -> None:
        """Count the end of a call."""
        self._running -= weight
        self._cool(weight, now)

    def join(self, weight: int, now: float) -> None:
        """Count a call that begins to wait; a negative weight, one that waits no more."""
        self.waiting += weight
        self._note_peak(now)

    def pause(self, seconds: float, now: float) -> None:
        """Begin no call for some seconds, and then use half of the places until the next lease."""
        if now >= self.paused_until and self.limit:
            self.limit = max(1, self.limit // 2)
        self.paused_until = max(self.paused_until, now + seconds)

    def take_over(self, used: int, size: int, now: float) -> None:
        """Take the exchange's own count of the weight that our address used in the present window.

        It wins: if less is left than we count, our part of the rest counts; if the exchange has
        counted less than our own calls, so do we.
        """
        if self.limit is None or not size:
            return
        busy = self.busy(now)
        while self._cooling and busy - self._cooling[0][1] >= used:
            weight = self._cooling.popleft()[1]
            self._cooling_weight -= weight
            busy -= weight
        left = max(0, size - used) * self.limit // size
        foreign = self.limit - busy - left
        if foreign > 0 and used > busy:
            self._cool(foreign, now)

    def want(self, weight: int, now: float) -> None:
        """Note a weight that calls could use beside the running and waiting ones."""
        self._peak = max(self._peak, self.busy(now) + self.waiting + weight)

    def wants(self, now: float) -> int:
        """Return the weight that work could use, twice as much while some waits, and begin to note anew."""
        peak, self._peak = self._peak, 0
        self._note_peak(now)
        return max(peak, self._peak) * (2 if self.waiting else 1)

    def _allowed(self, order: Order) -> int:
        limit = self.limit or 0
        return max(min(limit, 1), int(limit * SHARE_OF_SCHEDULED)) if order.waits else limit

    def _cool(self, weight: int, now: float) -> None:
        self._cooling.append((now + self.budget.seconds, weight))
        self._cooling_weight += weight

    def _note_peak(self, now: float) -> None:
        self._peak = max(self._peak, self.busy(now) + self.waiting)

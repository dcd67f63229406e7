"""The calls to one exchange that wait for its budgets, in their order. Pure, with a clock given."""

import math
from bisect import insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from contracts.exchanges.types import Budget, Exchange
from sync_worker.budgets.order import FIRST, Order, Turn
from sync_worker.budgets.shares import Share
from sync_worker.budgets.slices import Slice

# The calls that wait at once; the worker's slots allow no more in practice.
MAX_WAITING = 4096

Costs = Sequence[tuple[Slice, int]]


@dataclass(order=True, slots=True)
class Waiting:
    """A call that waits for its turn, with the weight that it takes from each slice."""

    turn: Turn
    number: int
    costs: Costs = field(compare=False)


class Line:
    """Lets calls begin as the slices of an exchange's budgets allow, the most urgent one first.

    A call that can not begin yet holds back the later calls that need one of its budgets, and no others. The
    part of a budget that the schedule leaves to others does not hold them back.
    """

    def __init__(self, exchange: Exchange, budgets: Mapping[str, Budget]) -> None:
        self.exchange = exchange
        self.slices = {key: Slice(budget) for key, budget in budgets.items()}
        self.sizes: dict[str, int | None] = {key: budget.most or None for key, budget in budgets.items()}
        self._all = [self.slices[each.key] for each in budgets.values() if each.counts_all]
        self._costs: dict[str, Costs] = {}
        self._waiting: list[Waiting] = []
        self._by_order = dict.fromkeys(Order, 0)
        self._number = 0

    def costs(self, read: str) -> Costs:
        """Return the weight that a read takes from each slice."""
        costs = self._costs.get(read)
        if costs is None:
            cost = self.exchange.cost(read)
            costs = self._costs[read] = [(self.slices[key], weight) for key, weight in cost.items()]
        return costs

    def together(self, reads: Sequence[str]) -> Costs:
        """Return the weight that several reads take from each slice."""
        weights: dict[Slice, int] = {}
        for read in reads:
            for each, weight in self.costs(read):
                weights[each] = weights.get(each, 0) + weight
        return list(weights.items())

    def begins_now(self, costs: Costs, order: Order, now: float) -> bool:
        """Begin a call if none waits and the slices allow it; return whether it has begun."""
        if self._waiting or any(each.wait(weight, order, now) for each, weight in costs):
            return False
        for each, weight in costs:
            each.begin(weight, now)
        return True

    def end(self, costs: Costs, now: float) -> None:
        """Count the end of a call."""
        for each, weight in costs:
            each.end(weight, now)

    def estimate(self, costs: Costs, order: Order, now: float) -> float:
        """Return about how long a call waits; infinite if too many wait already."""
        if len(self._waiting) >= MAX_WAITING:
            return math.inf
        ahead = [other for other in Order if other <= order and (other is order or not other.waits)]
        before = sum(self._by_order[other] for other in ahead)
        return max(
            (each.estimate(weight, min(each.waiting, before), order, now) for each, weight in costs),
            default=0.0,
        )

    def want(self, costs: Costs, now: float) -> bool:
        """Note the weight that calls could use; return whether another lease may give more of it."""
        grows = False
        for each, weight in costs:
            each.want(weight, now)
            size = self.sizes[each.budget.key]
            is_part = each.limit is not None and size is not None and each.limit < size
            grows = grows or (is_part and each.paused_until <= now)
        return grows

    def join(self, turn: Turn, costs: Costs, now: float) -> Waiting:
        """Add a call to the waiting ones."""
        self._number += 1
        waiting = Waiting(turn, self._number, costs)
        insort(self._waiting, waiting)
        self._count(waiting, 1, now)
        return waiting

    def leave(self, waiting: Waiting, now: float) -> None:
        """Remove a call that waits no more."""
        self._waiting.remove(waiting)
        self._count(waiting, -1, now)

    def admit(self, now: float) -> tuple[list[Waiting], float]:
        """Begin the calls that may; return them, and the seconds until the next one may, or infinity."""
        admitted, earliest, held = [], math.inf, set[int]()
        used_up = False
        for waiting in list(self._waiting):
            order = waiting.turn.order
            if used_up and order.waits:
                continue
            waits = {id(each): each.wait(weight, order, now) for each, weight in waiting.costs}
            if any(waits.values()) or held & waits.keys():
                others = {id(each): each.wait(weight, FIRST.order, now) for each, weight in waiting.costs}
                earliest = min(earliest, max(waits.values()) or math.inf, max(others.values()) or math.inf)
                held |= {each for each, wait in others.items() if wait}
                used_up = used_up or any(waits.get(id(each)) for each in self._all)
                if any(id(each) in held for each in self._all):
                    break
                continue
            for each, weight in waiting.costs:
                each.begin(weight, now)
            self.leave(waiting, now)
            admitted.append(waiting)
        return admitted, earliest

    def apply(self, shares: Mapping[str, Share], valid_until: float, now: float) -> None:
        """Use the shares of a lease until its end."""
        for key, share in shares.items():
            each = self.slices[key]
            each.limit, each.valid_until = share.places, valid_until
            each.paused_until = max(each.paused_until, now + share.pause)
            self.sizes[key] = share.size

    @property
    def is_short(self) -> bool:
        """Return whether calls wait."""
        return bool(self._waiting)

    def _count(self, waiting: Waiting, sign: int, now: float) -> None:
        self._by_order[waiting.turn.order] += sign
        for each, weight in waiting.costs:
            each.join(sign * weight, now)

"""The size of a budget after refusals: it shrinks at once and grows back slowly. Pure.

Times are seconds since the epoch by the clock of the NATS server.
"""

from collections.abc import Mapping

from contracts.budgets import Shrunk
from contracts.exchanges.types import Budget

# A budget grows by a twentieth of its size in each window, so that it is whole again after ten.
STEPS = 20
# Each further refusal doubles the time that this takes, up to this number.
MAX_STRIKES = 7
# A limit that the exchange does not document is forgotten after this time without a refusal.
FORGET_SECONDS = 3600.0
# It begins with no less, because a sync has about as many calls, and doubles in ten windows up to this.
LEAST_LEARNT, MOST_LEARNT = 10, 1_000_000
# Without a time from the exchange each further refusal doubles the pause, up to this one.
LONGEST_PAUSE = 300.0
# A longer time from the exchange is cut to this one (`exchanges/http.py`).
MOST_PAUSE = 3600.0


def size_at(budget: Budget, shrunk: Shrunk | None, now: float) -> int | None:
    """Return the weight that a budget allows in its window now; None without a limit."""
    if shrunk is None or is_over(budget, shrunk, now):
        return budget.most or None
    steps = max(0.0, now - shrunk.until) // _step_seconds(budget, shrunk)
    if not budget.most:
        doubled = min(2 * steps / STEPS, MOST_LEARNT.bit_length())
        return min(int(shrunk.most * 2**doubled), MOST_LEARNT)
    return min(shrunk.most + int(steps) * max(1, budget.most // STEPS), budget.most)


def paused(shrunk: Shrunk | None, now: float) -> float:
    """Return the seconds for which a budget allows no call."""
    return 0.0 if shrunk is None else max(0.0, shrunk.until - now)


def refused(budget: Budget, before: Shrunk | None, now: float, pause: float | None, used: int) -> Shrunk:
    """Return the budget after a refusal, with the pause that the exchange asks for, if any.

    Refusals of calls that were under way count once. `used` is the weight of the last window, from which a
    limit that is not documented is learnt.
    """
    if before is not None and is_over(budget, before, now):
        before = None
    if before is not None and now < before.until + budget.seconds / 4:
        longer = max(before.until, now + (pause or 0.0))
        return Shrunk(before.most, before.at, longer, before.strikes)
    strikes = 1 if before is None else min(before.strikes + 1, MAX_STRIKES)
    size = size_at(budget, before, now) or max(used, 2 * LEAST_LEARNT)
    wait = min(budget.seconds * 2 ** (strikes - 1), LONGEST_PAUSE) if pause is None else pause
    return Shrunk(max(1, size // 2), now, now + wait, strikes)


def is_over(budget: Budget, shrunk: Shrunk, now: float) -> bool:
    """Return whether the budget has long had its size back."""
    whole = 2 * STEPS * _step_seconds(budget, shrunk) if budget.most else FORGET_SECONDS
    return now - shrunk.until >= whole


def merged(one: Mapping[str, Shrunk], other: Mapping[str, Shrunk]) -> dict[str, Shrunk]:
    """Return the shrunk budgets of two tellings; of one budget the later refusal, and the longer pause."""
    both = dict(one)
    for key, shrunk in other.items():
        both[key] = max(both.get(key, shrunk), shrunk, key=lambda each: (each.at, each.until))
    return both


def _step_seconds(budget: Budget, shrunk: Shrunk) -> float:
    return float(budget.seconds * 2 ** (shrunk.strikes - 1))

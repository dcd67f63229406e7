"""Calls begin in the order of their work, evenly spread, and never more in a window than there are places."""

import heapq
import math
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.exchanges.okx import OKX
from contracts.exchanges.types import Budget
from sync_worker.budgets.line import Line, Waiting
from sync_worker.budgets.order import Order, Turn
from sync_worker.budgets.shares import Share
from sync_worker.budgets.slices import Slice

WINDOW = 2.0
READ = "account_balance"


def line_of(limit: int) -> Line:
    """Return a line with one budget for all calls, of which this worker has all places."""
    line = Line(OKX, {each.key: each for each in OKX.budgets} | {"address": _whole(limit)})
    line.apply({"address": Share(limit, limit)}, math.inf, 0.0)
    return line


def _whole(limit: int) -> Budget:
    return Budget("address", limit, WINDOW, counts_all=True)


@dataclass(order=True)
class Event:
    """A call that comes, or ends."""

    at: float
    number: int
    order: Order = field(compare=False)
    seconds: float = field(compare=False)
    ends: bool = field(default=False, compare=False)


@dataclass
class Played:
    """A call that began: when, for how long, and when it came."""

    order: Order
    came: float
    began: float
    seconds: float


def play(line: Line, calls: list[tuple[float, float, Order]]) -> list[Played]:
    """Run calls, each with its arrival, duration and order, with a clock of their own."""
    events = [Event(at, number, order, seconds) for number, (at, seconds, order) in enumerate(calls)]
    heapq.heapify(events)
    costs, came, wake, played = line.costs(READ), dict[int, Event](), math.inf, list[Played]()
    now = 0.0
    while events or came:
        at = events[0].at if events else math.inf
        now = max(now, min(at, wake))
        assert now < math.inf, "a call waits for ever"
        while events and events[0].at <= now:
            event = heapq.heappop(events)
            if event.ends:
                line.end(costs, now)
            else:
                came[line.join(Turn(event.order), costs, now).number] = event
        begun, wait = line.admit(now)
        for waiting in begun:
            _begin(came.pop(waiting.number), now, events, played)
        wake = now + wait
    return played


def _begin(event: Event, now: float, events: list[Event], played: list[Played]) -> None:
    played.append(Played(event.order, event.at, now, event.seconds))
    heapq.heappush(events, Event(now + event.seconds, event.number, event.order, 0.0, ends=True))


calls_of = st.lists(
    st.tuples(st.floats(0, 6), st.floats(0, 3), st.sampled_from(Order)), min_size=1, max_size=40
)


@settings(max_examples=200)
@given(st.integers(1, 8), calls_of, st.randoms(use_true_random=False))
def test_no_window_has_more_calls_than_places(
    limit: int, calls: list[tuple[float, float, Order]], random: Random
) -> None:
    """Whenever the exchange counts each call, between its begin and its end."""
    counted = sorted(each.began + random.random() * each.seconds for each in play(line_of(limit), calls))

    for first, later in zip(counted, counted[limit:], strict=False):
        assert later - first >= WINDOW - 1e-6


@settings(max_examples=200)
@given(st.integers(1, 8), calls_of)
def test_calls_are_evenly_spread(limit: int, calls: list[tuple[float, float, Order]]) -> None:
    """Two calls never begin closer than a window divided by the places: there are no bursts."""
    begun = sorted(each.began for each in play(line_of(limit), calls))

    for first, later in pairwise(begun):
        assert later - first >= WINDOW / limit - 1e-6


def test_an_exchange_that_allows_bursts_gets_them() -> None:
    """All places of a window begin at once, and no more of them."""
    places = Slice(Budget("api", 4, WINDOW, bursts=True))
    places.limit, places.valid_until = 4, math.inf

    for _ in range(4):
        assert places.wait(1, Order.PERSON, 0.0) == 0.0
        places.begin(1, 0.0)
    assert places.wait(1, Order.PERSON, 0.0) > 0.0


@settings(max_examples=200)
@given(st.integers(1, 8), calls_of)
def test_the_more_urgent_call_goes_first(limit: int, calls: list[tuple[float, float, Order]]) -> None:
    """No call begins while a more urgent one, or an earlier one of its order, waits.

    Only prices use what scheduled syncs that wait leave to others.
    """
    played = play(line_of(limit), calls)

    for place, each in enumerate(played):
        for later in played[place + 1 :]:
            beside = each.order is Order.PRICES and later.order is Order.SCHEDULED
            if later.came <= each.began < later.began and not beside:
                assert (later.order, later.came) >= (each.order, each.came)


@given(st.integers(2, 50))
def test_the_schedule_leaves_a_fifth_to_persons(limit: int) -> None:
    """With scheduled work alone, a window has four fifths of the places at most."""
    played = play(line_of(limit), [(0.0, 0.01, Order.SCHEDULED)] * (3 * limit))
    most = max(1, int(0.8 * limit))
    begun = sorted(each.began for each in played)

    assert all(later - first >= WINDOW for first, later in zip(begun, begun[most:], strict=False))


@given(st.integers(5, 100), st.floats(0, 0.1))
def test_a_load_of_persons_syncs_uses_nine_tenths(limit: int, seconds: float) -> None:
    """Calls of up to a twentieth of the window leave less than a tenth of the places unused."""
    number = 10 * limit
    played = play(line_of(limit), [(0.0, seconds, Order.PERSON)] * number)

    last = max(each.began for each in played)
    assert number / (last + WINDOW / limit) >= 0.9 * limit / WINDOW


def test_a_call_waits_only_for_its_own_budgets() -> None:
    """A read of the clock that has to wait holds up no signed read."""
    line = line_of(40)
    line.apply({"address": Share(None, None), "public_time": Share(0, 10)}, math.inf, 0.0)

    clock = line.join(Turn(Order.PERSON), line.costs("public_time"), 0.0)
    signed = line.join(Turn(Order.SCHEDULED), line.costs(READ), 0.0)

    assert line.admit(0.0)[0] == [signed]
    line.apply({"public_time": Share(1, 10)}, math.inf, 0.0)
    assert line.admit(0.0)[0] == [clock]


@pytest.mark.parametrize("size", [2, 5, 40])
def test_a_schedule_that_always_waits_keeps_no_prices_away(size: int) -> None:
    """It leaves a part of the budget to others. A price is for all accounts, and would at last be unknown."""
    line, now, begun, running = line_of(size), 0.0, list[Order](), list[Waiting]()
    for _ in range(10 * size):
        line.join(Turn(Order.SCHEDULED), line.costs(READ), now)
    price = line.join(Turn(Order.PRICES), line.costs(READ), now)

    while price not in running:
        admitted, wait = line.admit(now)
        begun += [each.turn.order for each in admitted]
        running += admitted
        for each in admitted:
            line.end(each.costs, now)
        now += wait if math.isfinite(wait) else 0.0

    assert now <= 2 * WINDOW
    assert begun[-1] is Order.PRICES
    assert begun.count(Order.SCHEDULED) <= size


def test_without_a_lease_no_call_of_a_limited_budget_begins() -> None:
    """The part of a worker that no other can hear of ends with its lease."""
    line = line_of(40)
    line.apply({"address": Share(40, 40)}, 5.0, 0.0)
    waiting: Waiting = line.join(Turn(Order.PERSON), line.costs(READ), 5.0)

    assert line.admit(5.0) == ([], math.inf)
    line.apply({"address": Share(40, 40)}, 9.0, 6.0)
    assert line.admit(6.0)[0] == [waiting]


def test_the_exchanges_own_number_wins() -> None:
    """If others use our address, our part of the rest counts; if it has counted less, so do we."""
    line = line_of(40)
    budget = line.slices["address"]
    line.apply({"address": Share(20, 40)}, math.inf, 0.0)

    budget.take_over(30, 40, 0.0)
    assert 20 - budget.busy(0.0) == 5
    budget.take_over(0, 40, 0.5)
    assert budget.busy(0.5) == 0


def test_a_pause_lets_no_call_begin_and_halves_what_follows() -> None:
    """Until the next lease divides the smaller budget anew."""
    line = line_of(40)
    budget = line.slices["address"]

    budget.pause(20.0, 0.0)
    budget.pause(20.0, 0.1)

    assert budget.limit == 20
    assert budget.wait(1, Order.PERSON, 20.0) > 0
    assert budget.wait(1, Order.PERSON, 20.1) == 0

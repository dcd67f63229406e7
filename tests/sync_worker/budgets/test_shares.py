"""Workers lease parts of a budget: together never more than there is, and all of it where work waits."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.budgets import Lease, Leases, Shrunk
from contracts.exchanges.types import Budget
from sync_worker.budgets.shares import IDLE_SHARE, LEASE_SECONDS, Need, alone, fair, renewed
from sync_worker.budgets.sizes import MOST_PAUSE, refused

WINDOW = 2.0
NOW = 1_000_000.0


def budget_of(size: int) -> dict[str, Budget]:
    """Return a table of one budget."""
    return {"all": Budget("all", size, WINDOW, counts_all=True)}


@given(st.integers(0, 500), st.dictionaries(st.text("abcdef", min_size=1), st.integers(0, 500), min_size=1))
def test_a_fair_division_gives_all_that_is_wanted_and_there(size: int, wants: dict[str, int]) -> None:
    """Its sum is the smaller of size and wants; one that gets less than it wants gets no less than any."""
    shares = fair(size, wants)

    assert sum(shares.values()) == min(size, sum(wants.values()))
    for worker, share in shares.items():
        assert share <= wants[worker]
        if share < wants[worker]:
            assert share >= max(shares.values()) - 1


@dataclass
class Pool:
    """Workers that renew one after the other, as by compare and set; `limit` is what each may use."""

    size: int
    now: float = NOW
    leases: Leases = field(default_factory=Leases)
    limit: dict[str, int] = field(default_factory=dict)
    until: dict[str, float] = field(default_factory=dict)

    def renew(self, worker: str, wants: int, *, in_use: bool = True, returning: bool = False) -> None:
        """Renew the lease of a worker that has used all of its part, or none of it."""
        held = self.limit.get(worker, 0)
        counts = in_use and self.now < self.until.get(worker, 0) + WINDOW
        need = Need({"all": held if counts else 0}, {"all": wants}, {"all": held}, returning)
        self.leases, shares = renewed(self.leases, worker, need, budget_of(self.size), self.now)
        self.limit[worker] = shares["all"].places or 0
        self.until[worker] = self.now + LEASE_SECONDS

    @property
    def usable(self) -> int:
        """Return the weight that all workers with a lease may use together."""
        return sum(limit for worker, limit in self.limit.items() if self.until[worker] > self.now)


steps = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(0, 200), st.booleans(), st.floats(0, 20)), max_size=40
)


@settings(max_examples=300)
@given(st.integers(1, 100), steps)
def test_all_workers_together_never_have_more_than_there_is(
    size: int, steps: list[tuple[str, int, bool, float]]
) -> None:
    """Whatever they want, in whatever order they renew, and whichever of them die."""
    pool = Pool(size)
    for worker, wants, in_use, seconds in steps:
        pool.now += seconds
        pool.renew(worker, wants, in_use=in_use)

        assert pool.usable <= size
        assert sum(lease.places["all"] for lease in pool.leases.workers.values()) <= size


@given(st.integers(4, 500), st.integers(1, 4))
def test_where_work_waits_everywhere_all_of_it_is_leased(size: int, workers: int) -> None:
    """After some rounds the parts of hungry workers differ by one at most, and leave nothing."""
    pool = Pool(size)
    for _ in range(4):
        for worker in "abcd"[:workers]:
            pool.renew(worker, 1000, in_use=False)
        pool.now += 4.0

    assert pool.usable == size
    assert max(pool.limit.values()) - min(pool.limit.values()) <= 1


def test_a_worker_without_work_leaves_its_part_to_one_with_work() -> None:
    """It keeps a bit, so that its first call need not wait."""
    pool = Pool(40)
    for _ in range(3):
        pool.renew("idle", 0, in_use=False)
        pool.renew("busy", 1000)
        pool.now += 4.0

    assert pool.limit == {"idle": 40 // IDLE_SHARE, "busy": 40 - 40 // IDLE_SHARE}


def test_places_in_use_are_given_up_only_after_their_window() -> None:
    """A newcomer gets none of the places of calls that still count."""
    pool = Pool(40)
    pool.renew("first", 1000)
    pool.renew("first", 1000)
    pool.renew("second", 1000)
    assert (pool.limit["first"], pool.limit["second"]) == (40, 0)
    pool.renew("first", 1000)  # its 40 places are in use, but it uses only its new part of them again
    assert pool.limit["first"] == 20
    pool.renew("second", 1000)
    assert pool.limit["second"] == 0
    pool.renew("first", 1000)
    pool.renew("second", 1000)
    assert pool.limit["second"] == 20


def test_the_part_of_a_dead_worker_returns_after_its_lease() -> None:
    """It returns when the calls that it may have sent at its end do not count any more."""
    pool = Pool(40)
    pool.renew("dead", 1000)
    pool.now += LEASE_SECONDS + WINDOW - 0.1
    pool.renew("other", 1000)
    assert pool.limit["other"] == 0
    pool.now += 0.1
    pool.renew("other", 1000)
    assert pool.limit["other"] == 40


def test_after_an_outage_a_worker_begins_at_half() -> None:
    """With the next lease it has its fair part again."""
    pool = Pool(40)
    pool.renew("a", 1000)
    pool.now += 30.0
    pool.renew("a", 1000, in_use=False, returning=True)
    assert pool.limit["a"] == 20
    pool.renew("a", 1000, in_use=False)
    assert pool.limit["a"] == 40


def test_after_a_loss_of_the_bucket_no_worker_gets_more() -> None:
    """Each keeps its part until all others have written theirs again; a newcomer begins with a bit."""
    pool = Pool(40)
    pool.renew("a", 1000, in_use=False)
    for _ in range(3):
        for worker in "ab":
            pool.renew(worker, 1000, in_use=False)
        pool.now += 2.0
    assert pool.limit == {"a": 20, "b": 20}
    pool.leases = Leases(settled=pool.now + LEASE_SECONDS + WINDOW)

    pool.renew("a", 1000, in_use=False)
    assert pool.limit["a"] == 20
    pool.renew("new", 1000, in_use=False)
    assert pool.limit["new"] == 5
    pool.now += LEASE_SECONDS + WINDOW
    pool.renew("a", 1000, in_use=False)
    assert pool.limit["a"] > 20


def test_a_shrunk_budget_is_divided_at_once() -> None:
    """The next lease of each worker is a part of the smaller size, and says how long to pause."""
    budgets = budget_of(40)
    shrunk = refused(budgets["all"], None, NOW, 20.0, 0)
    leases = Leases({"other": Lease(NOW + 9, {"all": 10}, {"all": 99})}, {"all": shrunk})
    need = Need({"all": 0}, {"all": 99}, {"all": 30})

    _, shares = renewed(leases, "me", need, budgets, NOW)

    assert (shares["all"].places, shares["all"].size) == (10, 20)
    assert shares["all"].pause == pytest.approx(20.0)


def test_a_worker_that_knows_no_other_uses_a_small_part() -> None:
    """On a bus without the bucket it counts as if there were seven more, and uses no budget up."""
    assert alone(budget_of(40))["all"].places == 5
    assert alone(budget_of(1))["all"].places == 1
    assert alone(budget_of(0))["all"].places is None


def test_times_that_no_worker_can_have_written_end_as_a_lease_does() -> None:
    """The server's clock was set back, or the value is not a worker's: it stops no calls for ever."""
    later = NOW * 1000
    foreign = Lease(later, {"all": 40}, {"all": 40})
    pool = Pool(40, leases=Leases({"x": foreign}, {"all": Shrunk(1, later, later)}, later))
    pool.renew("a", 1000)
    assert pool.limit["a"] == 0

    pool.now += MOST_PAUSE + 20 * LEASE_SECONDS
    pool.renew("a", 1000)

    assert pool.limit["a"] == 40
    assert (pool.leases.shrunk, set(pool.leases.workers)) == ({}, {"a"})


def test_more_workers_than_places_have_them_in_turn() -> None:
    """Else those with the last names would call for ever, and the others never."""
    pool, had = Pool(2), set[str]()
    for _ in range(200):
        for worker in "abcde":
            pool.renew(worker, 10)
            had |= {worker} if pool.limit[worker] else set()
        assert pool.usable <= 2
        pool.now += 1.0

    assert had == set("abcde")


def test_many_workers_without_work_leave_most_to_one_with_work() -> None:
    """The bits that each keeps for its first call are never all that there is."""
    pool = Pool(40)
    for wants in (1, 0, 0):
        for number in range(39):
            pool.renew(f"idle{number}", wants, in_use=False)
        pool.renew("busy", 14)
        pool.now += 4.0

    assert pool.limit["busy"] == 14

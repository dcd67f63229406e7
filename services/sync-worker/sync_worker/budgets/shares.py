"""The parts of budgets that workers lease: fair by the work that waits, and never more than there is. Pure.

A budget consists of places, each for a weight of 1. A place is used again only after the window that follows
the end of the call in it, so that the exchange counts no more calls than places, whatever their latency.
"""

from collections.abc import Collection, Mapping
from zlib import crc32

import msgspec

from contracts.budgets import MAX_WORKERS, Lease, Leases, Shrunk
from contracts.exchanges.types import Budget
from sync_worker.budgets.sizes import MOST_PAUSE, is_over, paused, size_at

# A worker that is not heard of for so long has died: others take its places.
LEASE_SECONDS = 12.0
# A worker begins no call in the last second of its lease.
MARGIN_SECONDS = 1.0
# A worker without work holds this share of a budget, so that its first call need not wait.
IDLE_SHARE = 8


class Need(msgspec.Struct, frozen=True):
    """Of one worker, by budget: the weight in use and that it could use, and its places of the last lease.

    After an outage a worker is `returning`: it begins at half of these places.
    """

    busy: Mapping[str, int] = {}
    wants: Mapping[str, int] = {}
    held: Mapping[str, int] = {}
    returning: bool = False


class Share(msgspec.Struct, frozen=True):
    """A worker's part of a budget; None for a budget without a limit. `size` is the whole budget."""

    places: int | None
    size: int | None
    pause: float = 0.0


def fair(size: int, wants: Mapping[str, int]) -> dict[str, int]:
    """Divide a size among workers: no one gets more than it wants while another wants more than it gets."""
    left, shares = size, {}
    for rank, (worker, want) in enumerate(sorted(wants.items(), key=lambda each: (each[1], each[0]))):
        shares[worker] = min(want, left // (len(wants) - rank))
        left -= shares[worker]
    return shares


def renewed(
    leases: Leases, worker: str, need: Need, budgets: Mapping[str, Budget], now: float
) -> tuple[Leases, dict[str, Share]]:
    """Return the leases with a new one for a worker, and its share of each budget."""
    leases = believable(leases, budgets, now)
    kept = {name: lease for name, lease in leases.workers.items() if _counts(lease, budgets.values(), now)}
    others = {name: lease for name, lease in kept.items() if name != worker}
    shares, places, wants = dict[str, Share](), dict[str, int](), dict[str, int]()
    for key, budget in budgets.items():
        shrunk = leases.shrunk.get(key)
        size, pause = size_at(budget, shrunk, now), paused(shrunk, now)
        wants[key], places[key] = need.wants.get(key, 0), need.busy.get(key, 0)
        if size is None:
            shares[key] = Share(None, None, pause)
            continue
        free = max(0, size - _taken(others, budget, now))
        mine = min(_target(size, worker, _wants(others, key, now) | {worker: wants[key]}, now), free)
        if need.returning:
            mine = min(mine, max(1, need.held.get(key, 0) // 2))
        if now < leases.settled:
            mine = min(mine, max(need.held.get(key, 0), size // IDLE_SHARE, 1))
        shares[key] = Share(mine, size, pause)
        # Places in use stay taken until their calls do not count any more.
        places[key] = max(mine, places[key])
    if len(others) >= MAX_WORKERS:
        return leases, {key: Share(0, share.size, share.pause) for key, share in shares.items()}
    lease = Lease(now + LEASE_SECONDS, places, wants)
    shrunk_still = _still(leases.shrunk, budgets, now)
    return Leases({**others, worker: lease}, shrunk_still, leases.settled), shares


def believable(leases: Leases, budgets: Mapping[str, Budget], now: float) -> Leases:
    """Return the leases with no time later than a worker could write by this clock.

    Later ones are left from before the clock was set back, or not from a worker, and would hold for so long.
    Workers read the clock a bit differently.
    """
    now += MARGIN_SECONDS
    ends, longest = now + LEASE_SECONDS, max((each.seconds for each in budgets.values()), default=0.0)
    replace = msgspec.structs.replace
    return Leases(
        {name: replace(lease, ends=min(lease.ends, ends)) for name, lease in leases.workers.items()},
        {
            key: replace(each, at=min(each.at, now), until=min(each.until, now + MOST_PAUSE))
            for key, each in leases.shrunk.items()
        },
        min(leases.settled, ends + longest),
    )


def alone(budgets: Mapping[str, Budget]) -> dict[str, Share]:
    """Return the shares of a worker that knows of no other, as a bus without the bucket forces it to.

    It counts as if there were seven more.
    """
    return {
        key: Share(max(1, budget.most // IDLE_SHARE), budget.most) if budget.most else Share(None, None)
        for key, budget in budgets.items()
    }


def _wants(others: Mapping[str, Lease], key: str, now: float) -> dict[str, int]:
    """Return the weight that each other worker that lives wants of a budget."""
    return {name: lease.wants.get(key, 0) for name, lease in others.items() if now < lease.ends}


def _target(size: int, worker: str, wants: Mapping[str, int], now: float) -> int:
    """Return the fair part of a worker among all; each gets a bit, so that its first call need not wait.

    All of these bits are at most half of the size, so that the other half goes where work is. More workers
    than places have them in turn, in an order that changes with each lease.
    """
    least = min(-(-size // IDLE_SHARE), size // (2 * len(wants)))
    turn = now // LEASE_SECONDS if len(wants) > size else 0.0
    names = {name: f"{crc32(f'{turn}{name}'.encode()):08x}{name}" if turn else name for name in wants}
    return fair(size, {names[name]: max(want, least) for name, want in wants.items()})[names[worker]]


def _taken(others: Mapping[str, Lease], budget: Budget, now: float) -> int:
    """Return the places of a budget that others have, or that count until their window has passed."""
    return sum(
        lease.places.get(budget.key, 0) for lease in others.values() if now < lease.ends + budget.seconds
    )


def _counts(lease: Lease, budgets: Collection[Budget], now: float) -> bool:
    longest = max((each.seconds for each in budgets), default=0.0)
    return now < lease.ends + longest


def _still(shrunk: Mapping[str, Shrunk], budgets: Mapping[str, Budget], now: float) -> dict[str, Shrunk]:
    """Return the shrunk budgets that have not had their size back for long."""
    return {
        key: each for key, each in shrunk.items() if key in budgets and not is_over(budgets[key], each, now)
    }

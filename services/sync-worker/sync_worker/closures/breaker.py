"""Decides when a region of an exchange is closed, and when to look again. Pure, with the time given.

Times are seconds since the epoch by the clock of the NATS server.
"""

from uuid import UUID

import msgspec

from contracts.closures import MAINTENANCE, MAX_SECONDS, UNAVAILABLE, Closure
from sync_worker.closures.hearing import Heard, Maintenance
from sync_worker.settings import Pace

# So many tries in a row, of at least two keys, close a region; so one account's trouble does not.
TRIES, KEYS = 3, 2
# A probe that has not ended after this time has died; it is longer than a try with a read of the status.
PROBE_SECONDS = 28.0
# Others come back this soon while a probe is under way.
SOON_SECONDS = 2.0
MAX_PROBES = 1000


class Breaker:
    """One worker's state of one region: its closure, if any, and the failed tries in a row."""

    def __init__(self) -> None:
        self.closure: Closure | None = None
        self._row: list[UUID] = []

    def note(self, key: UUID, what: Heard) -> bool:
        """Count a try with a key while the region is open; return whether the row is long enough to close it.

        A try that proves neither (`NOTHING`) does not count, and does not end the row.
        """
        if what is Heard.ANSWERS:
            self._row.clear()
        if what is not Heard.CLOSED:
            return False
        self._row = [*self._row[1 - TRIES :], key]
        return len(self._row) >= TRIES and len({*self._row}) >= KEYS

    def learn(self, closure: Closure | None) -> None:
        """Take over a closure, or its end, after which tries count anew."""
        if closure is None and self.closure is not None:
            self._row.clear()
        self.closure = closure

    def wait(self, now: float) -> float:
        """Return the seconds until a try may look whether the region is open; 0 for now."""
        return 0.0 if self.closure is None else max(0.0, self.closure.until - now)


def shown(closure: Closure, now: float) -> float:
    """Return the seconds after which work that is held back comes again."""
    left = max(closure.until - now, SOON_SECONDS)
    return SOON_SECONDS if closure.probing else min(left, MAX_SECONDS)


def closed(before: Closure | None, now: float, pace: Pace, said: Maintenance | None) -> Closure:
    """Return the closure of a region that was found closed; `said` is the exchange's status.

    A region that is closed already stays as it is, unless the exchange announces a later end.
    """
    if before is not None and (said is None or (said.ends or 0.0) <= before.until):
        return before
    since = now if before is None else before.since
    return _until(Closure(UNAVAILABLE, since, now), now, pace, said)


def claimed(before: Closure | None, now: float) -> Closure | None:
    """Return the closure with a probe under way if it is time for one, or else as it was."""
    if before is None or now < before.until:
        return before
    return msgspec.structs.replace(before, until=now + PROBE_SECONDS, probing=True)


def probed(
    before: Closure | None, what: Heard, now: float, pace: Pace, said: Maintenance | None
) -> Closure | None:
    """Return the closure after a probe, None if the exchange answers again.

    After a probe that proves neither (`NOTHING`), another one follows after the same time.
    """
    if what is Heard.ANSWERS:
        return None
    failed = what is not Heard.NOTHING
    if before is None:
        before = Closure(UNAVAILABLE, now, now)
    probes = min(before.probes + failed, MAX_PROBES)
    return _until(msgspec.structs.replace(before, probes=probes), now, pace, said)


def _until(closure: Closure, now: float, pace: Pace, said: Maintenance | None) -> Closure:
    """Set the time of the next look: the announced end if that is still to come, within an hour."""
    wait = pace.after(closure.probes)
    if said is not None and said.ends is not None and said.ends > now:
        wait = min(said.ends - now, MAX_SECONDS)
    reason = UNAVAILABLE if said is None else MAINTENANCE
    return msgspec.structs.replace(closure, reason=reason, until=now + wait, probing=False)

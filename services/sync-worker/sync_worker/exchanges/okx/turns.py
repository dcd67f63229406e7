"""The turns of sub-accounts, whose reads share the limits of their master's key. Pure."""

from uuid import UUID

# OKX allows five reads of the rights of a key in two seconds, and each sync makes one.
SPACING_SECONDS = 0.45
# A sync whose turn is later gives its slot in the worker back until then.
LONGEST_WAIT_SECONDS = 3.0
# A sync that did not come back for its turn has another worker, or is over.
KEPT_SECONDS = 120.0
MOST_REMEMBERED = 10_000


class Turns:
    """When the sub-accounts of each credential are read; each process counts separately."""

    def __init__(self) -> None:
        self._next: dict[UUID, float] = {}
        self._kept: dict[str, float] = {}

    def take(self, credential_id: UUID, grant: str, now: float) -> float:
        """Take the next turn of a credential; returns the seconds until then, by a monotonic clock.

        The grant names the sync: one that has to come back later finds its turn kept.
        """
        if len(self._next) + len(self._kept) >= MOST_REMEMBERED:
            self._next = {each: at for each, at in self._next.items() if at > now}
            self._kept = {each: at for each, at in self._kept.items() if at > now - KEPT_SECONDS}
        at = self._kept.pop(grant, None)
        if at is None:
            at = max(now, self._next.get(credential_id, now))
            self._next[credential_id] = at + SPACING_SECONDS
        if at - now > LONGEST_WAIT_SECONDS:
            self._kept[grant] = at
        return max(0.0, at - now)

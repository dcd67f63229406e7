"""Rate limits: so many calls in a window, counted for one user or one address and one endpoint."""

from collections import defaultdict, deque
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Limit:
    """So many calls in any window of so many seconds."""

    calls: int
    seconds: float


class Limiter:
    """Counts admitted calls in sliding windows.

    `strict` spreads a limit evenly instead of allowing a burst, because the real window is not documented and
    clients were refused while they stayed below the documented count. What it remembers is bounded by the
    known users and the loopback addresses, times the endpoints.
    """

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._admitted: defaultdict[tuple[str, str], deque[datetime]] = defaultdict(deque)

    def admit(self, subject: tuple[str, str], limit: Limit, now: datetime) -> bool:
        """Say whether one more call of this subject is within the limit, and count it if it is."""
        if self._strict:
            limit = Limit(1, limit.seconds / limit.calls)
        admitted = self._admitted[subject]
        # What lies as far ahead was admitted before the clock was set back.
        while admitted and abs(now - admitted[0]) >= timedelta(seconds=limit.seconds):
            admitted.popleft()
        if len(admitted) >= limit.calls:
            return False
        admitted.append(now)
        return True

"""Rate limits: calls per window, counted per endpoint for a user or an address."""

from collections import defaultdict, deque
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Limit:
    """A number of calls in any window of seconds."""

    calls: int
    seconds: float


class Limiter:
    """Counts admitted calls in sliding windows.

    `strict` spreads a limit evenly instead of allowing a burst, because the real window is not documented and
    clients were refused below the documented count. Its memory is bounded by the known users and loopback
    addresses, times the endpoints.
    """

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._admitted: defaultdict[tuple[str, str], deque[datetime]] = defaultdict(deque)

    def admit(self, subject: tuple[str, str], limit: Limit, now: datetime) -> bool:
        """Return whether one more call of this subject is within the limit, and count it if so."""
        if self._strict:
            limit = Limit(1, limit.seconds / limit.calls)
        admitted = self._admitted[subject]
        # A call this far in the future was admitted before the clock was set back.
        while admitted and abs(now - admitted[0]) >= timedelta(seconds=limit.seconds):
            admitted.popleft()
        if len(admitted) >= limit.calls:
            return False
        admitted.append(now)
        return True

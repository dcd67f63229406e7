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


@dataclass(slots=True)
class Counts:
    """The calls of all addresses: admitted, refused, and refused during a ban.

    `latest_in_ban` is how many seconds after the begin of its ban the latest such call came.
    """

    admitted: int = 0
    refused: int = 0
    in_ban: int = 0
    latest_in_ban: float = 0.0


class Addresses:
    """A limit of all calls of a client address, and a ban of an address that exceeds it.

    `strict` allows no bursts.
    """

    def __init__(self, limit: Limit, ban_seconds: float, *, strict: bool = False) -> None:
        self.counts = Counts()
        self._limit = limit
        self._ban = timedelta(seconds=ban_seconds)
        self._limiter = Limiter(strict=strict)
        self._banned: dict[str, datetime] = {}

    def refuses(self, address: str, now: datetime) -> float | None:
        """Return the seconds after which a refused call may come again; None for an admitted call."""
        begun = self._banned.get(address)
        if begun is not None and now < begun + self._ban:
            self.counts.refused += 1
            self.counts.in_ban += 1
            passed = (now - begun).total_seconds()
            self.counts.latest_in_ban = max(self.counts.latest_in_ban, passed)
            return self._ban.total_seconds() - passed
        if self._limiter.admit((address, ""), self._limit, now):
            self.counts.admitted += 1
            return None
        self.counts.refused += 1
        self._banned[address] = now
        return self._ban.total_seconds() or self._limit.seconds


def parse_limit(text: str) -> Limit:
    """Parse CALLS/SECONDS; raises ValueError."""
    calls, _, seconds = text.partition("/")
    limit = Limit(int(calls), float(seconds))
    if limit.calls < 1 or not limit.seconds > 0:
        raise ValueError("not CALLS/SECONDS")
    return limit

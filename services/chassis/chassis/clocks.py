"""Comparison of this machine's clock with those of other servers, and the time if ours is wrong."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from itertools import pairwise

import msgspec
import structlog

from chassis import metrics

# Clocks under NTP differ by less, and smaller differences do not affect certificates, logs or people.
TOLERANCE = 30.0
# A reading expires after this time, because the monotonic clock stands still while the machine sleeps.
MAX_AGE = 120.0
MEASURE_EVERY = 10.0
LOOK_EVERY = 1.0
ASK_SECONDS = 2.0

DISAGREES = "clock_disagrees"
# The name of the bus's clock; other servers are named where their clocks are read.
NATS = "nats"

# Returns a server's time in seconds since the epoch.
Ask = Callable[[], Awaitable[float]]

log = structlog.get_logger()


class Reading(msgspec.Struct, frozen=True):
    """The time of a server's clock, seconds since the epoch, at a monotonic time in seconds."""

    seconds: float
    at: float


class Clocks:
    """Holds the latest reading of each server's clock and extrapolates it by the monotonic clock.

    Two other clocks that agree with each other prove this machine's clock wrong; one cannot.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._readings: dict[str, Reading] = {}
        self._said: tuple[str, ...] = ()

    def note(self, name: str, seconds: float, at: float | None = None) -> None:
        """Keep the time of a server's clock at a monotonic time, by default now."""
        self._readings[name] = Reading(seconds, self._monotonic() if at is None else at)

    def offset(self, name: str) -> float | None:
        """Return the seconds by which a server's clock is ahead of ours; None without a recent reading."""
        reading, now = self._readings.get(name), self._monotonic()
        if reading is None or now - reading.at > MAX_AGE:
            return None
        return reading.seconds + (now - reading.at) - self._wall()

    def time_of(self, name: str) -> datetime | None:
        """Return the time that a server's clock shows now; None without a recent reading."""
        offset = self.offset(name)
        return None if offset is None else self._shifted(offset)

    def disagreeing(self) -> tuple[str, ...]:
        """Return the names of the servers whose clocks are far from ours."""
        return tuple(name for name, offset in self._offsets().items() if abs(offset) > TOLERANCE)

    def disagree(self) -> bool:
        """Return whether any clock is far from ours: one of the two is wrong."""
        return bool(self.disagreeing())

    def wrong(self) -> bool:
        """Return whether two other clocks agree with each other and not with ours."""
        far = sorted(offset for offset in self._offsets().values() if abs(offset) > TOLERANCE)
        return any(later - earlier <= TOLERANCE for earlier, later in pairwise(far))

    def now(self) -> datetime:
        """Return the time that most clocks show, ours included.

        With two clocks the server's counts, unless they disagree: then either may be wrong, and ours counts.
        """
        offsets = sorted([0.0, *self._offsets().values()])
        middle = offsets[(len(offsets) - 1) // 2 : len(offsets) // 2 + 1]
        return self._shifted(max(middle, key=abs) if middle[-1] - middle[0] <= TOLERANCE else 0.0)

    async def right(self) -> bool:
        """Check that our clock is not known to be wrong."""
        return not self.wrong()

    async def agree(self) -> bool:
        """Check that no clock disagrees with ours, whichever is wrong."""
        return not self.disagree()

    async def keep(self, servers: Mapping[str, Ask]) -> None:
        """Read the servers' clocks for ever, and log when they begin or cease to disagree."""
        while True:
            for name, ask in servers.items():
                if self._due(name):
                    await self.measure(name, ask)
            self._say()
            await asyncio.sleep(LOOK_EVERY)

    async def measure(self, name: str, ask: Ask) -> bool:
        """Read one server's clock; return whether it answered."""
        before = self._monotonic()
        try:
            async with asyncio.timeout(ASK_SECONDS):
                seconds = await ask()
        except Exception:  # noqa: BLE001 - the server's own check reports any error
            return False
        after = self._monotonic()
        if after - before > 2 * ASK_SECONDS:  # this process was suspended, at an unknown moment
            return False
        # The server read its clock about in the middle.
        self.note(name, seconds, (before + after) / 2)
        return True

    def _due(self, name: str) -> bool:
        reading = self._readings.get(name)
        return reading is None or self._monotonic() - reading.at >= MEASURE_EVERY

    def _offsets(self) -> dict[str, float]:
        offsets = {name: self.offset(name) for name in tuple(self._readings)}
        return {name: offset for name, offset in offsets.items() if offset is not None}

    def _shifted(self, offset: float) -> datetime:
        return datetime.fromtimestamp(self._wall() + offset, UTC)

    def _say(self) -> None:
        offsets = self._offsets()
        for name, offset in offsets.items():
            metrics.CLOCK_OFFSET.labels(name).set(offset)
        far = self.disagreeing()
        if far and far != self._said:
            told = {name: round(offsets[name], 1) for name in far if name in offsets}
            log.error(DISAGREES, seconds_ahead_of_ours=told, ours_is_wrong=self.wrong())
        elif self._said and not far:
            log.info("clocks_agree")
        self._said = far

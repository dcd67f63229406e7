"""This machine's clock beside those of other servers: whether it is wrong, and what the time is then."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from itertools import pairwise

import msgspec
import structlog

from chassis import metrics

# Clocks that NTP holds differ by less, and certificates, logs and people do not care.
TOLERANCE = 30.0
# A reading counts no longer than this: a machine that slept has a monotonic clock that slept, too.
MAX_AGE = 120.0
MEASURE_EVERY = 10.0
LOOK_EVERY = 1.0
ASK_SECONDS = 2.0

DISAGREES = "clock_disagrees"

# Asks a server for its time, seconds since the epoch.
Ask = Callable[[], Awaitable[float]]

log = structlog.get_logger()


class Reading(msgspec.Struct, frozen=True):
    """What a server's clock showed, seconds since the epoch, at a monotonic time in seconds."""

    seconds: float
    at: float


class Clocks:
    """Holds the latest reading of each server's clock; the monotonic clock carries it on.

    Two other clocks that agree with each other prove this machine's clock wrong; one can not.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._readings: dict[str, Reading] = {}
        self._said: tuple[str, ...] = ()

    def note(self, name: str, seconds: float, at: float | None = None) -> None:
        """Keep what a server's clock showed at a monotonic time, now where none is given."""
        self._readings[name] = Reading(seconds, self._monotonic() if at is None else at)

    def offset(self, name: str) -> float | None:
        """Give the seconds by which a server's clock is ahead of ours; None when it was not read lately."""
        reading, now = self._readings.get(name), self._monotonic()
        if reading is None or now - reading.at > MAX_AGE:
            return None
        return reading.seconds + (now - reading.at) - self._wall()

    def time_of(self, name: str) -> datetime | None:
        """Give the time that a server's clock shows now; None when it was not read lately."""
        offset = self.offset(name)
        return None if offset is None else self._shifted(offset)

    def disagreeing(self) -> tuple[str, ...]:
        """Name the servers whose clocks are far from ours."""
        return tuple(name for name, offset in self._offsets().items() if abs(offset) > TOLERANCE)

    def disagree(self) -> bool:
        """Tell whether any clock is far from ours: one of the two is wrong."""
        return bool(self.disagreeing())

    def wrong(self) -> bool:
        """Tell whether two other clocks agree with each other and not with ours."""
        far = sorted(offset for offset in self._offsets().values() if abs(offset) > TOLERANCE)
        return any(later - earlier <= TOLERANCE for earlier, later in pairwise(far))

    def now(self) -> datetime:
        """Give the time that most clocks show, ours included.

        Of two the server's counts, unless they disagree: then nothing tells which is wrong, and ours counts.
        """
        offsets = sorted([0.0, *self._offsets().values()])
        middle = offsets[(len(offsets) - 1) // 2 : len(offsets) // 2 + 1]
        return self._shifted(max(middle, key=abs) if middle[-1] - middle[0] <= TOLERANCE else 0.0)

    async def right(self) -> bool:
        """Give the check that fails when our clock is wrong."""
        return not self.wrong()

    async def agree(self) -> bool:
        """Give the check that fails when any clock disagrees with ours, whichever is wrong."""
        return not self.disagree()

    async def keep(self, servers: Mapping[str, Ask]) -> None:
        """Read the servers' clocks and say when they begin or cease to disagree, for as long as we run."""
        while True:
            for name, ask in servers.items():
                if self._due(name):
                    await self.measure(name, ask)
            self._say()
            await asyncio.sleep(LOOK_EVERY)

    async def measure(self, name: str, ask: Ask) -> bool:
        """Read one server's clock; tells whether it answered."""
        before = self._monotonic()
        try:
            async with asyncio.timeout(ASK_SECONDS):
                seconds = await ask()
        except Exception:  # noqa: BLE001 - whatever it is, the server's own check tells of it
            return False
        after = self._monotonic()
        if after - before > 2 * ASK_SECONDS:  # this process stood still, at a moment that is not known
            return False
        # The server looked at its clock about in the middle.
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

"""The time without progress: of a consumer by its ack floor, of a database by its oldest transaction."""

from collections.abc import Callable


class Standing:
    """Measures how long a floor has not moved although something above it waits."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._floor = -1
        self._since: float | None = None

    def see(self, floor: int, waiting: int) -> None:
        """Note the floor (the number up to which everything is settled) and how much waits above it."""
        if not waiting:
            self._since = None
        elif self._since is None or floor != self._floor:
            self._since = self._monotonic()
        self._floor = floor

    @property
    def seconds(self) -> float:
        """Return the seconds without progress; 0 while it moves or nothing waits."""
        return 0.0 if self._since is None else self._monotonic() - self._since

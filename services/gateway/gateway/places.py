"""Slots that limit concurrent work in this process, with a maximum for one client."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.errors import TooBusy

SHARE = 4  # one client holds at most a quarter


class Places:
    """A number of slots; a client holds one while its work runs, and at most a quarter of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._share = max(most // SHARE, 1)
        self._taken: Counter[str] = Counter()

    @contextmanager
    def taken(self, client: str) -> Iterator[None]:
        """Hold a slot for a client; raises TooBusy."""
        if self._taken.total() >= self._most or self._taken[client] >= self._share:
            raise TooBusy
        self._taken[client] += 1
        try:
            yield
        finally:
            self._taken[client] -= 1
            if not self._taken[client]:
                del self._taken[client]

"""A brake on dead letters: while most messages of a consumer are unreadable, it delays them.

They may be of a later version, which another process can read after its update.
"""

import time
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from chassis import metrics

# The number of latest messages considered, the minimum for a judgement, and how long a message counts.
LOOKED_AT = 20
ENOUGH = 10
COUNTED_SECONDS = 60.0
HOLD_SECONDS = 30.0
MAX_HOLDS = 10
# The brake asks the server for its count of unacknowledged messages at most this often. Other processes may
# hold messages back at the same time, so each takes only a share of the room.
ASK_SECONDS = 1.0
SHARES = 4

log = structlog.get_logger()


class Brake:
    """Decides whether to hold back unreadable messages of one consumer.

    `pending` asks the server how many messages wait for their ack; it returns None if unknown.

    Held messages are unacknowledged. The brake allows at most `most` unacknowledged messages, so that
    readable messages still arrive; `most` is half of the server's limit for unacknowledged messages.
    """

    def __init__(
        self,
        consumer: str,
        most: int,
        pending: Callable[[], Awaitable[int | None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._consumer = consumer
        self._most = most
        self._pending = pending
        self._clock = clock
        self._latest: deque[tuple[float, bool]] = deque(maxlen=LOOKED_AT)
        self._asked_at = float("-inf")
        self._room = 0
        self._on = False
        metrics.DEAD_LETTER_BRAKE.labels(consumer).set_function(self._unreadable)

    def saw(self, *, readable: bool) -> None:
        """Count a message."""
        self._latest.append((self._clock(), readable))
        self._judge()

    async def holds(self, delivery: int) -> bool:
        """Return whether to hold back an unreadable message, by the number of its delivery."""
        if not self._judge() or delivery > MAX_HOLDS:
            return False
        return await self.has_room()

    async def has_room(self) -> bool:
        """Reserve room for one more unacknowledged message; return False if it would block others."""
        if self._clock() - self._asked_at >= ASK_SECONDS:
            self._asked_at = self._clock()
            pending = await self._pending()
            self._room = 1 if pending is None else max(0, self._most - pending) // SHARES
        self._room -= 1
        return self._room >= 0

    def _judge(self) -> bool:
        """Return whether most of the latest messages are unreadable; log a change."""
        on = self._unreadable()
        if on != self._on:
            self._on = on
            log.warning("dead_letters_braked" if on else "dead_letters_released", consumer=self._consumer)
        return on

    def _unreadable(self) -> bool:
        since = self._clock() - COUNTED_SECONDS
        counted = [readable for at, readable in self._latest if at >= since]
        return len(counted) >= ENOUGH and counted.count(False) * 2 > len(counted)

"""Contact with JetStream: a service leaves a server that has lost the other servers of its cluster."""

import asyncio
import random
import time
from collections.abc import Callable
from itertools import cycle

from chassis.bus.connection import Bus, BusUnavailable
from chassis.bus.inspection import NotGranted, answers
from chassis.health import Check
from contracts.wire.topology import Consumer

ASK_SECONDS = 2.0
# Longer than the servers take to elect a leader (4 to 9 s), and than a leader without followers stays one
# (10 s): in most outages another server would not answer earlier.
PATIENCE_SECONDS = 15.0
# While no server answers, reconnects become rarer up to this pause: they interrupt requests between services.
MOST_PATIENCE_SECONDS = 300.0
# Not all processes leave at the same moment.
SPREAD = 1.25


class Silence:
    """Decides when a service leaves its server: after 15 s without an answer, then 30, 60, up to 300 s.

    Each is lengthened at random, by up to a quarter. `goes_on` is true from then on until an answer.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self.end()

    def end(self) -> None:
        """Note an answer."""
        self.goes_on = False
        self._pause = PATIENCE_SECONDS
        self.restart()

    def restart(self) -> None:
        """Begin to count again, without a change of the pause."""
        self._since: float | None = None
        self._patience = self._pause * random.uniform(1, SPREAD)  # noqa: S311 - jitter, no secret

    def lasts(self) -> bool:
        """Note a question without an answer; return whether to leave the server now."""
        now = self._monotonic()
        if self._since is None:
            self._since = now
        if now - self._since < self._patience:
            return False
        self.goes_on = True
        self._pause = min(2 * self._pause, MOST_PATIENCE_SECONDS)
        self.restart()
        return True


class Contact:
    """Asks JetStream regularly, and has the bus connect to another server while it answers no question.

    A server whose routes fail keeps its clients. JetStream answers only there where most servers are, so a
    service that goes where it answers also meets the other services there. The questions are about these
    consumers in turn. With only one server to connect to it asks nothing.
    """

    def __init__(
        self, bus: Bus, *consumers: Consumer, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._bus = bus
        self._silence = Silence(monotonic)
        self._asked = cycle(consumers)

    async def keep(self) -> None:
        """Ask for as long as the process runs."""
        while True:
            await self.look()
            await asyncio.sleep(ASK_SECONDS)

    async def look(self) -> None:
        """Ask one question, and leave the server if none was answered for too long."""
        if not await self._bus.ready() or len(self._bus.client.servers) == 1:
            self._silence.restart()
        elif await self._answers():
            self._silence.end()
        elif self._silence.lasts():
            await self._bus.leave()

    def checks(self) -> dict[str, Check]:
        """Return a check that fails from the first server left until JetStream answers."""

        async def check() -> bool:
            return not self._silence.goes_on

        return {"jetstream": check}

    async def _answers(self) -> bool:
        """Return whether JetStream answers; a server that denies the question does not count against it."""
        try:
            return await answers(self._bus, next(self._asked))
        except NotGranted:
            return True
        except BusUnavailable:
            return False

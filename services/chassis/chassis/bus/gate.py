"""A gate for consumers: while a part that handlers need is unavailable, a replica fetches no messages."""

import asyncio
from collections.abc import Awaitable

import structlog

from chassis.bus.consume import Handler
from chassis.bus.delivery import Delivery, RetryLater
from chassis.health import Check
from chassis.timeouts import finish, retrieve
from contracts.wire.envelope import Malformed

PROBE_EVERY = 1.0
PROBE_SECONDS = 1.5
# Short, because another replica can handle the message; not zero, because this one may get it again.
GIVE_BACK_DELAY = 0.5

log = structlog.get_logger()


class Gate:
    """Shut while `probe` fails, which runs every second; `part` is the name of the part it probes.

    A failure of a handler does not shut the gate: only the probe decides.
    """

    def __init__(self, part: str, probe: Check) -> None:
        self._part = part
        self._probe = probe
        self._shut = asyncio.Event()

    def is_open(self) -> bool:
        """Return whether consumers may fetch messages."""
        return not self._shut.is_set()

    async def watch(self) -> None:
        """Open and shut the gate for as long as the process runs."""
        while True:
            await self.look()
            await asyncio.sleep(PROBE_EVERY)

    async def look(self) -> bool:
        """Probe now, open or shut the gate, and return whether it is open."""
        try:
            passed = await finish(self._probe(), PROBE_SECONDS)
        except Exception:  # noqa: BLE001 - after any error the part counts as unavailable
            passed = False
        if passed != self.is_open():
            log.info("gate_opened", part=self._part) if passed else log.warning("gate_shut", part=self._part)
        self._shut.clear() if passed else self._shut.set()
        return passed

    def guard(self, handle: Handler) -> Handler:
        """Return a handler that gives back its delivery, by RetryLater, as soon as the gate is shut."""

        async def guarded(delivery: Delivery) -> None:
            if not await self._handled(handle(delivery)):
                raise RetryLater(GIVE_BACK_DELAY, f"{self._part} is away")

        return guarded

    async def _handled(self, work: Awaitable[None]) -> bool:
        """Await a handler; return False if the gate was shut meanwhile, or is the cause of its failure.

        A cancelled handler may have done its work nevertheless, so a redelivery must change nothing.
        """
        handling, shut = asyncio.ensure_future(work), asyncio.ensure_future(self._shut.wait())
        handling.add_done_callback(retrieve)
        try:
            await asyncio.wait({handling, shut}, return_when=asyncio.FIRST_COMPLETED)
            if not handling.done():
                return False
            handling.result()
        except Malformed:
            raise
        except Exception:
            if await self.look():
                raise
            return False
        finally:
            shut.cancel()
            handling.cancel()
        return True

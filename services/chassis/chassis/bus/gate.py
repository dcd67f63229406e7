"""A gate before consumers: while a part that handlers need is away, a replica takes no work from others."""

import asyncio
from collections.abc import Awaitable

import structlog

from chassis.bus.consume import Delivery, Handler, RetryLater
from chassis.health import Check
from chassis.timeouts import finish, retrieve
from contracts.wire.envelope import Malformed

PROBE_EVERY = 1.0
PROBE_SECONDS = 1.5
# Soon, because another replica can handle it; not at once, because it may come back to this one.
GIVE_BACK_DELAY = 0.5

log = structlog.get_logger()


class Gate:
    """Shut while `probe` does not pass, which is asked every second; `part` is what it asks for.

    A single fault of a handler shuts nothing: the probe decides.
    """

    def __init__(self, part: str, probe: Check) -> None:
        self._part = part
        self._probe = probe
        self._shut = asyncio.Event()

    def is_open(self) -> bool:
        """Tell whether messages may be taken."""
        return not self._shut.is_set()

    async def watch(self) -> None:
        """Open and shut, for as long as the process runs."""
        while True:
            await self.look()
            await asyncio.sleep(PROBE_EVERY)

    async def look(self) -> bool:
        """Probe now, and open or shut; tells whether the gate is open."""
        try:
            passed = await finish(self._probe(), PROBE_SECONDS)
        except Exception:  # noqa: BLE001 - whatever it is, the part is away
            passed = False
        if passed != self.is_open():
            log.info("gate_opened", part=self._part) if passed else log.warning("gate_shut", part=self._part)
        self._shut.clear() if passed else self._shut.set()
        return passed

    def guard(self, handle: Handler) -> Handler:
        """Make a handler give back what it was handed as soon as the gate is shut; raises RetryLater."""

        async def guarded(delivery: Delivery) -> None:
            if not await self._handled(handle(delivery)):
                raise RetryLater(GIVE_BACK_DELAY, f"{self._part} is away")

        return guarded

    async def _handled(self, work: Awaitable[None]) -> bool:
        """Await a handler; False when the gate was shut meanwhile, or is why the handler failed.

        A handler that is cut off may have done its work all the same: another delivery must change nothing.
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

"""Background work that goes on when it is woken, and after some seconds anyway."""

import asyncio
from contextlib import suppress


class Wake:
    """A bell: ringing it while nobody listens is not lost, ringing it twice is once."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake whoever waits, now or next."""
        self._rung.set()

    async def wait(self, seconds: float) -> None:
        """Wait until the bell is rung, but no longer than this."""
        with suppress(TimeoutError):
            # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the bell.
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        self._rung.clear()

"""A wake-up signal with a timeout for background loops."""

import asyncio
from contextlib import suppress


class Wake:
    """A wake-up sent before `wait` is kept; several wake-ups count as one."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the present waiter, or the next one."""
        self._rung.set()

    async def wait(self, seconds: float) -> None:
        """Wait for a wake-up, at most the given seconds."""
        with suppress(TimeoutError):
            # Not wait_for: in Python 3.11 it loses a cancellation that arrives together with the wake-up.
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        self._rung.clear()

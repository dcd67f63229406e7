"""Waits for a condition, which is the only way that a test waits."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable

SECONDS = 20.0
POLL_SECONDS = 0.05
# For `verify` of clients over plain HTTP. It trusts no authority, because loading httpx's default authorities
# takes 60 ms of CPU, which adds up when each poll of a condition makes a client.
IN_THE_CLEAR = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = SECONDS) -> None:
    """Wait for a condition; fails if it does not become true in time."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(POLL_SECONDS)


def passed(seconds: float) -> Callable[[], Awaitable[bool]]:
    """Return a condition that becomes true after so much time, for effects that depend on time alone."""
    at = time.monotonic() + seconds

    async def has_passed() -> bool:
        return time.monotonic() > at

    return has_passed

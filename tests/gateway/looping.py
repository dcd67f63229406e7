"""A background loop that runs during a test, and the events that it logs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from structlog.testing import capture_logs

Events = list[MutableMapping[str, Any]]


@asynccontextmanager
async def looping(loop: Coroutine[Any, Any, None]) -> AsyncIterator[Events]:
    """Run a loop until the end of the block, and yield the logged events; fails if the loop has ended."""
    with capture_logs() as events:
        task = asyncio.create_task(loop)
        await asyncio.sleep(0)  # the loop runs to its first wait
        try:
            yield events
            assert not task.done(), "the loop has ended"
        finally:
            task.cancel()
            await asyncio.wait([task])


def told(events: Events, event: str, times: int = 1) -> Callable[[], Awaitable[bool]]:
    """Return a condition that becomes true when an event was logged so many times."""

    async def logged() -> bool:
        return [each["event"] for each in events].count(event) >= times

    return logged

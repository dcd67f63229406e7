"""A wake-up reaches the next wait, whenever it was sent, and no later one."""

import asyncio

import pytest

from gateway.outbox.wake import Wake
from tests.waiting import passed, until

LONG, SHORT = 30.0, 0.05


async def woken(wake: Wake, seconds: float = LONG) -> bool:
    """Return whether a wait ended before its time."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await wake.wait(seconds)
    return loop.time() - began < seconds


async def test_a_wake_up_ends_a_wait() -> None:
    """The loop looks at once."""
    wake = Wake()
    waiting = asyncio.create_task(woken(wake))
    await asyncio.sleep(0)

    wake.ring()

    assert await waiting


async def test_a_wake_up_before_the_wait_is_kept() -> None:
    """It may be sent while the loop works; several count as one."""
    wake = Wake()
    wake.ring()
    wake.ring()

    assert await woken(wake)
    assert not await woken(wake, SHORT)


async def test_a_wait_without_a_wake_up_ends_with_its_time() -> None:
    """The loop looks from time to time anyway."""
    assert not await woken(Wake(), SHORT)


@pytest.mark.parametrize("steps", range(4))
async def test_a_loop_that_is_cancelled_together_with_a_wake_up_ends(steps: int) -> None:
    """Whichever arrives first, by whatever number of steps of the event loop."""
    wake = Wake()

    async def run() -> None:
        while True:
            await wake.wait(LONG)

    running = asyncio.create_task(run())
    await until(passed(SHORT))

    wake.ring()
    for _ in range(steps):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running], timeout=1)

    ended = running.cancelled()
    running.cancel()
    assert ended

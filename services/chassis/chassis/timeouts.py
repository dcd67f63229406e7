"""Waiting for something no longer than is said, whatever it does when it is cancelled."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


async def finish(work: Coroutine[Any, Any, Result], seconds: float) -> Result:
    """Run something to its end; raises TimeoutError when that takes longer.

    Unlike `asyncio.timeout` it does not wait until what it cancels has ended: psycopg takes seconds for that
    while its database hangs.
    """
    task = asyncio.ensure_future(work)
    task.add_done_callback(retrieve)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        task.cancel()


def retrieve(task: asyncio.Future[Any]) -> None:
    """Take the exception of what ended too late, which asyncio would report as forgotten."""
    if not task.cancelled():
        task.exception()

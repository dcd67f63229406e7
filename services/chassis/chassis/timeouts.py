"""A timeout that does not wait for the end of the cancelled work."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


async def finish(work: Coroutine[Any, Any, Result], seconds: float) -> Result:
    """Await work for at most `seconds`; raises TimeoutError after that.

    Unlike `asyncio.timeout` this does not wait until the cancelled work has ended, because psycopg takes
    seconds for that while its database hangs.
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
    """Retrieve the exception of work that ended too late, which asyncio would log as never retrieved."""
    if not task.cancelled():
        task.exception()

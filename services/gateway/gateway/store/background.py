"""Background work on the database: an error ends one turn, and the next turn may succeed."""

from collections.abc import Awaitable, Callable

import structlog

from gateway.store.pool import DatabaseUnavailable

log = structlog.get_logger()


async def attempt(name: str, work: Awaitable[None], **said: object) -> bool:
    """Await work and return whether it succeeded; an error is logged with `said`, not raised."""
    waits, failed = f"{name}_waits", f"{name}_failed"
    try:
        await work
    except DatabaseUnavailable as error:
        log.warning(waits, reason=str(error), **said)
        return False
    except Exception:
        log.exception(failed, **said)
        return False
    return True


async def repeat(
    name: str, work: Callable[[], Awaitable[None]], wait: Callable[[float], Awaitable[object]], seconds: float
) -> None:
    """Do work for ever, each turn after a wait."""
    while True:
        await wait(seconds)
        await attempt(name, work())

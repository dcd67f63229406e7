"""Regular samples for metrics that no event updates: the state of parts, and waiting messages."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from chassis.health import Checks, readiness
from chassis.timeouts import finish

COLLECT_SECONDS = 10.0
SAMPLE_SECONDS = 5.0

Sample = Callable[[], Coroutine[Any, Any, None]]

log = structlog.get_logger()


async def collect(checks: Checks, *samples: Sample) -> None:
    """Run every check and take every sample about every ten seconds, for ever."""
    while True:
        await asyncio.gather(readiness(checks), *map(_take, samples))
        await asyncio.sleep(COLLECT_SECONDS)


async def _take(sample: Sample) -> None:
    try:
        await finish(sample(), SAMPLE_SECONDS)
    except Exception as error:  # noqa: BLE001 - a missing metric must not end a service
        log.warning("sample_failed", error=type(error).__name__)

"""Health and metrics over HTTP: /healthz, /readyz and /metrics."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from chassis import metrics
from chassis.timeouts import finish

Check = Callable[[], Coroutine[Any, Any, bool]]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# All checks run at once, so that /readyz answers within two seconds even if a check hangs.
CHECK_SECONDS = 1.5
KEPT_SECONDS = 1.0
_JSON = "application/json"


@dataclass(frozen=True)
class Checks:
    """The checks of a service, by the names of its parts.

    Without a `required` part this replica cannot work. If a `degrading` check fails, the replica does less,
    or the problem affects all replicas.
    """

    required: Mapping[str, Check]
    degrading: Mapping[str, Check] = field(default_factory=dict)


class Readiness(msgspec.Struct, frozen=True):
    """Whether a service can work, and the parts that fail their check: required ones, then degrading ones."""

    ready: bool
    not_ready: tuple[str, ...]
    degraded: tuple[str, ...] = ()


async def readiness(checks: Checks) -> Readiness:
    """Run all checks at once; a check that raises or takes too long fails."""
    missing, degraded = await asyncio.gather(_failing(checks.required), _failing(checks.degrading))
    for name in {*checks.required, *checks.degrading}:
        metrics.READY.labels(name).set(name not in {*missing, *degraded})
    return Readiness(not missing, missing, degraded)


class Ready:
    """Reports whether the required parts pass; requests within a second of a result share it.

    So frequent requests cost only one check of the required parts a second.
    """

    def __init__(self, checks: Checks, kept_seconds: float = KEPT_SECONDS) -> None:
        self.checks = checks
        self._kept_seconds = kept_seconds
        self._asking: asyncio.Task[tuple[str, ...]] | None = None
        self._kept_until = 0.0

    async def ready(self) -> bool:
        """Return whether all required parts pass, within two seconds."""
        over = asyncio.get_running_loop().time() >= self._kept_until
        if self._asking is None or (self._asking.done() and over):
            self._asking = asyncio.create_task(self._ask())
        return not await asyncio.shield(self._asking)

    async def _ask(self) -> tuple[str, ...]:
        failing = await _failing(self.checks.required)
        self._kept_until = asyncio.get_running_loop().time() + self._kept_seconds
        return failing


def merged(*groups: Mapping[str, Check]) -> dict[str, Check]:
    """Merge groups of checks; a part with several checks must pass all of them."""
    named: dict[str, list[Check]] = {}
    for group in groups:
        for name, check in group.items():
            named.setdefault(name, []).append(check)
    return {name: _all_of(several) for name, several in named.items()}


def running(stopping: asyncio.Event) -> Check:
    """Return a check that fails during shutdown."""

    async def check() -> bool:
        return not stopping.is_set()

    return check


def health_application(checks: Checks) -> Application:
    """Return the ASGI application of an operations port."""

    async def application(scope: Scope, _receive: Receive, send: Send) -> None:
        status, content_type, body = await _respond(scope.get("path", ""), checks)
        headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return application


async def _failing(checks: Mapping[str, Check]) -> tuple[str, ...]:
    passed = await asyncio.gather(*map(_passes, checks.values()))
    return tuple(name for name, passes in zip(checks, passed, strict=True) if not passes)


async def _passes(check: Check) -> bool:
    try:
        return await finish(check(), CHECK_SECONDS)
    except Exception:  # noqa: BLE001 - after any error the part does not pass
        return False


def _all_of(several: list[Check]) -> Check:
    async def check() -> bool:
        return all(await asyncio.gather(*(each() for each in several)))

    return check


async def _respond(path: str, checks: Checks) -> tuple[int, str, bytes]:
    if path == "/healthz":
        return 200, _JSON, b'{"healthy":true}'
    if path == "/readyz":
        state = await readiness(checks)
        return (200 if state.ready else 503), _JSON, msgspec.json.encode(state)
    if path == "/metrics":
        return 200, metrics.CONTENT_TYPE, metrics.exposition()
    return 404, _JSON, b'{"error":"not found: /healthz, /readyz and /metrics are here"}'

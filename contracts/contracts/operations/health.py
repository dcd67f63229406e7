"""Health and metrics over HTTP: /healthz, /readyz and /metrics."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from contracts.operations import metrics

Check = Callable[[], Awaitable[bool]]
Checks = Mapping[str, Check]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# Whoever asks has the answer within two seconds.
CHECK_SECONDS = 1.5

_JSON = "application/json"


class Readiness(msgspec.Struct, frozen=True):
    """Whether a service can do its work; `not_ready` names the parts that it waits for."""

    ready: bool
    not_ready: tuple[str, ...]


async def readiness(checks: Checks) -> Readiness:
    """Ask every check at the same time; one that raises, or takes too long, counts as not ready."""
    passed = await asyncio.gather(*(_passes(name, check) for name, check in checks.items()))
    missing = [name for name, passes in zip(checks, passed, strict=True) if not passes]
    return Readiness(not missing, tuple(missing))


async def _passes(name: str, check: Check) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            passed = await check()
    except Exception:  # noqa: BLE001 - whatever it is, the part is not ready
        passed = False
    metrics.READY.labels(name).set(passed)
    return passed


def health_application(checks: Checks) -> Application:
    """Make the ASGI application of a service that has no other HTTP interface."""

    async def application(scope: Scope, _receive: Receive, send: Send) -> None:
        status, content_type, body = await _respond(scope.get("path", ""), checks)
        headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return application


async def _respond(path: str, checks: Checks) -> tuple[int, str, bytes]:
    if path == "/healthz":
        return 200, _JSON, b'{"healthy":true}'
    if path == "/readyz":
        state = await readiness(checks)
        return (200 if state.ready else 503), _JSON, msgspec.json.encode(state)
    if path == "/metrics":
        return 200, metrics.CONTENT_TYPE, metrics.exposition()
    return 404, _JSON, b'{"error":"not found: /healthz, /readyz and /metrics are here"}'

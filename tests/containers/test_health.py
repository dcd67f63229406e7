"""The services in their containers: without a shell, read-only, and healthy exactly when they are ready."""

import logging
from collections.abc import Callable
from datetime import datetime
from time import time

import httpx
import pytest

from deploy.local.ports import LOOPBACK, free_ports
from tests.containers.engine import SERVICES, Container
from tests.waiting import IN_THE_CLEAR, until

Start = Callable[..., Container]
HEALTH_SECONDS = 60.0
# The goal is two seconds on an idle machine; `make test-containers ARGS=--log-cli-level=INFO` shows the time.
READY_SECONDS = 20.0
log = logging.getLogger(__name__)


def unreachable(service: str) -> dict[str, str]:
    """Return settings with a required server that does not listen."""
    place = f"{LOOPBACK}:{free_ports(1)[0]}"
    if service == "gateway":
        return {"DATABASE_URL": f"postgresql://butler_gateway@{place}/butler"}
    return {"NATS_URL": f"nats://{place}"}


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_is_healthy_while_it_is_ready(service: str, started: Start) -> None:
    """It needs no shell and no writable file; it is unhealthy while it hangs, and then healthy again."""
    container = started(service)
    await until(container.healthy, HEALTH_SECONDS)

    container.signal("STOP")
    await until(container.unhealthy, HEALTH_SECONDS)
    container.signal("CONT")
    await until(container.healthy, HEALTH_SECONDS)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_without_a_required_server_is_unhealthy(service: str, started: Start) -> None:
    """It runs, and the engine holds it for unhealthy; tests of the chassis show that a 503 is the cause."""
    await until(started(service, **unreachable(service)).unhealthy, HEALTH_SECONDS)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_is_soon_ready(service: str, started: Start) -> None:
    """From the start of its process to the first `/readyz` that says so."""
    container = started(service)

    async def ready() -> bool:
        try:
            return (await client.get(f"{container.operations}/readyz")).is_success
        except httpx.TransportError:
            return False

    async with httpx.AsyncClient(verify=IN_THE_CLEAR, trust_env=False) as client:
        await until(ready, READY_SECONDS)
    seconds = time() - datetime.fromisoformat(container.state()["StartedAt"]).timestamp()
    log.info("%s: ready after %.2f s", service, seconds)
    assert seconds < READY_SECONDS


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_ends_at_sigterm(service: str, started: Start) -> None:
    """The signal reaches the process itself, and the exit code is 0."""
    container = started(service)
    await until(container.healthy, HEALTH_SECONDS)

    async def ended() -> bool:
        return not container.state()["Running"]

    container.signal("TERM")
    await until(ended, HEALTH_SECONDS)
    assert container.state()["ExitCode"] == 0, container.logs()

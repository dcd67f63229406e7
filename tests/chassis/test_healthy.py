"""A container's engine asks a service whether it is ready."""

import asyncio
from typing import Any

import pytest

from chassis.health import Application, Check, Checks, Receive, Scope, Send, health_application
from chassis.healthy import healthy
from chassis.serve import Listener, serve
from chassis.settings import Address
from deploy.local.ports import LOOPBACK, accepts, free_ports
from tests.waiting import until


def check(*, passes: bool) -> Check:
    """Return a check with a fixed result."""

    async def result() -> bool:
        return passes

    return result


def noting(application: Application, answered: list[tuple[str, int]]) -> Application:
    """Return the application, which notes the path and the status of each answer."""

    async def noted(scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: dict[str, Any]) -> None:
            if "status" in message:
                answered.append((scope["path"], message["status"]))
            await send(message)

        await application(scope, receive, sent)

    return noted


@pytest.mark.parametrize("host", [LOOPBACK, "0.0.0.0"])  # noqa: S104 - how a service in a container listens
@pytest.mark.parametrize("ready", [True, False])
async def test_a_service_is_healthy_if_it_is_ready(host: str, *, ready: bool) -> None:
    """It asks for `/readyz`, at whatever address the service listens: 200 is healthy, 503 is not."""
    [port] = free_ports(1)
    stopping = asyncio.Event()
    answered: list[tuple[str, int]] = []
    application = noting(health_application(Checks({"part": check(passes=ready)})), answered)
    serving = asyncio.create_task(serve([Listener(application, Address(host, port))], stopping))
    await until(lambda: accepts(port))

    answer = await asyncio.to_thread(healthy, {"LISTEN_HOST": host, "OPERATIONS_PORT": str(port)})
    stopping.set()
    await serving
    assert (answer, answered) == (ready, [("/readyz", 200 if ready else 503)])


async def test_nothing_that_listens_is_not_healthy() -> None:
    """A service that has not started yet, or has ended, is not healthy."""
    assert not await asyncio.to_thread(healthy, {"OPERATIONS_PORT": str(free_ports(1)[0])})


def test_the_port_must_be_told() -> None:
    """Images set it, because the services have different ones."""
    with pytest.raises(KeyError, match="OPERATIONS_PORT"):
        healthy({})

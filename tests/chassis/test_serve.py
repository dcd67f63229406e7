"""Serving on two ports in one loop: both answer, both stop, and neither shares a port with anybody."""

import asyncio
import socket

import httpx
import pytest

from chassis.health import Check, Checks, health_application, running
from chassis.serve import Listener, serve
from chassis.settings import Address, BadSetting, listening
from deploy.local.ports import LOOPBACK, accepts, free_ports
from tests.waiting import until


def told(name: str, stopping: asyncio.Event, port: int) -> Listener:
    """Return a listener whose /metrics and details are its own."""
    checks: dict[str, Check] = {name: running(stopping)}
    return Listener(health_application(Checks(checks)), Address(LOOPBACK, port))


async def test_both_ports_answer_and_both_end() -> None:
    """After `stopping` the call returns, and nothing listens on either port."""
    stopping, ports = asyncio.Event(), free_ports(2)
    serving = asyncio.create_task(serve([told(str(port), stopping, port) for port in ports], stopping))

    async def listens() -> bool:
        return all([await accepts(port) for port in ports])

    await until(listens)
    async with httpx.AsyncClient(trust_env=False) as client:
        for port in ports:
            assert (await client.get(f"http://{LOOPBACK}:{port}/readyz")).json()["ready"] is True
    stopping.set()
    await asyncio.wait_for(serving, 10)

    assert [await accepts(port) for port in ports] == [False, False]


async def test_a_second_port_that_is_taken_is_an_error() -> None:
    """The service does not start with half of its doors."""
    stopping, (free, taken) = asyncio.Event(), free_ports(2)
    with socket.create_server((LOOPBACK, taken)), pytest.raises(OSError, match="in use"):
        await serve([told("api", stopping, free), told("operations", stopping, taken)], stopping)

    assert not await accepts(free)


@pytest.mark.parametrize(
    ("environ", "port"),
    [
        ({}, 3001),
        ({"PORT": "4001"}, 4001),
        ({"PORT": "4001", "OPERATIONS_PORT": "5001"}, 5001),
        ({"PORT": "", "OPERATIONS_PORT": ""}, 3001),
    ],
)
def test_the_first_setting_that_is_there_counts(environ: dict[str, str], port: int) -> None:
    """A service with one port takes it from OPERATIONS_PORT, or from PORT as before."""
    assert listening(environ, ["OPERATIONS_PORT", "PORT"], 3001) == Address(LOOPBACK, port)


def test_a_bad_port_is_named_by_the_setting_that_holds_it() -> None:
    """The other setting is not blamed."""
    with pytest.raises(BadSetting, match=r"^PORT can"):
        listening({"PORT": "http"}, ["OPERATIONS_PORT", "PORT"], 3001)
    with pytest.raises(BadSetting, match=r"^OPERATIONS_PORT can"):
        listening({"PORT": "3001", "OPERATIONS_PORT": "0"}, ["OPERATIONS_PORT", "PORT"], 3001)

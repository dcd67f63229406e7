"""Further gateways beside that of the stack, each with its own settings."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import httpx

from deploy.local.ports import LOOPBACK
from deploy.local.processes import Program
from deploy.local.services import MODULES, environments, operations_port, service_ports
from deploy.local.stack import Stack
from tests.waiting import IN_THE_CLEAR

READY_SECONDS = 60
NUMBERS = count(2)


@asynccontextmanager
async def another_gateway(stack: Stack, ready: str = "/readyz", **settings: str) -> AsyncIterator[str]:
    """Run one more gateway on the stack's database and bus, and yield its address when it is ready.

    The gateway is ready when the path `ready` returns success.
    """
    ports = service_ports()
    environment = environments(stack.parts, ports)["gateway"] | settings
    program = Program(f"gateway-{next(NUMBERS)}", [sys.executable, "-m", MODULES["gateway"]], environment)
    operations = f"http://{LOOPBACK}:{operations_port(ports, 'gateway')}"
    async with (
        httpx.AsyncClient(verify=IN_THE_CLEAR, base_url=operations, trust_env=False) as client,
        stack.processes.running(program),
    ):

        async def answers() -> bool:
            try:
                answer = await client.get(ready)
            except httpx.TransportError:
                return False
            return answer.is_success and "nats" not in answer.json().get("degraded", [])

        await stack.processes.until(program.name, answers, READY_SECONDS)
        yield f"http://{LOOPBACK}:{ports['gateway']}"

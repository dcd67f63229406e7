"""An update restarts services first: they work with the server's old configuration and with the new one."""

from pathlib import Path

import httpx

from deploy.local.openbao import OpenBao
from deploy.local.postgres import Postgres
from deploy.local.services import MODULES, Infrastructure, running_services, service_ports
from deploy.local.simulator import Simulator
from deploy.local.stack import Stack
from tests.chassis.bus.one_account import running_one_account
from tests.deploy.lives import calling
from tests.forking import ForkingProcesses
from tests.system.person import Person
from tests.waiting import until

READY_SECONDS = 60.0


async def syncs(person: Person, account: str) -> None:
    """Sync an account successfully."""
    assert (await person.post(f"/accounts/{account}/sync", Prefer="wait=60"))["status"] == "completed"


async def ready(stack: Stack) -> bool:
    """Return whether all services are connected to the bus."""
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        told = [(await client.get(f"{stack.operations(name)}/readyz")).json() for name in MODULES]
    return not any(part != "syncs" for each in told for part in (*each["not_ready"], *each["degraded"]))


async def test_services_outlive_the_change_to_an_account_each(
    tmp_path: Path, vault: OpenBao, clean_database: Postgres, exchange: Simulator
) -> None:
    """They connect, verify and sync in the earlier single account, and again when each has its own."""
    processes = ForkingProcesses(tmp_path / "logs")
    async with running_one_account(processes, tmp_path) as bus:
        parts = Infrastructure(tmp_path, bus, vault, clean_database, exchange)
        stack = Stack(processes, parts, service_ports())
        async with running_services(processes, parts, stack.ports), calling(stack.api) as person:
            account = (await person.connect("plain"))["id"]
            await syncs(person, account)

            bus.configure(bus.registry.subscribers())
            await processes.restart(bus.program)
            await until(lambda: ready(stack), READY_SECONDS)

            await syncs(person, account)
            await person.connect("margin")

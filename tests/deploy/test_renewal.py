"""Certificates of the running stack are replaced before they end, and nothing fails meanwhile."""

import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from cryptography.x509 import Certificate, load_der_x509_certificate, load_pem_x509_certificate

from deploy.local.certificates import Validity
from deploy.local.nats import running_nats, until_it_accepts
from deploy.local.openbao import running_openbao
from deploy.local.postgres import SUPERUSER, Postgres
from deploy.local.renewal import renewing
from deploy.local.services import MODULES, Infrastructure, running_services, service_ports
from deploy.local.simulator import Simulator
from deploy.local.stack import Stack
from tests.deploy.lives import ACCOUNTS, calling
from tests.forking import ForkingProcesses
from tests.joining import joined
from tests.loading import UNLIMITED, Load
from tests.waiting import until

# Renewed about every four seconds.
SHORT = Validity(timedelta(seconds=10), timedelta(seconds=6))
SYNCS_PER_SECOND = 4.0
READY_SECONDS = 30.0


@pytest_asyncio.fixture(name="stack")
async def _stack(
    tmp_path: Path, clean_database: Postgres, exchange: Simulator, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stack]:
    """Run services, bus and vault with certificates that live for seconds."""
    for name, value in UNLIMITED.items():
        monkeypatch.setenv(name, value)
    processes, told = ForkingProcesses(tmp_path / "logs"), list[str]()
    async with AsyncExitStack() as running:
        bus = await running.enter_async_context(running_nats(processes, tmp_path, SHORT))
        vault = await running.enter_async_context(running_openbao(processes, tmp_path, SHORT))
        parts = Infrastructure(tmp_path, bus, vault, clean_database, exchange)
        stack = Stack(processes, parts, service_ports())
        await running.enter_async_context(renewing(processes, parts, told.append, SHORT))
        await running.enter_async_context(running_services(processes, parts, stack.ports))
        yield stack


def files(stack: Stack) -> dict[str, Certificate]:
    """Return the certificates that the programs were given."""
    given = {
        "nats": stack.parts.nats.configuration.with_name("server.pem"),
        "openbao": stack.parts.directory / "openbao" / "served" / "server.pem",
    }
    for name in MODULES:
        given[name] = stack.parts.directory / "services" / name / "nats_cert_file.pem"
    return {name: load_pem_x509_certificate(path.read_bytes()) for name, path in given.items()}


def over(certificate: Certificate) -> bool:
    """Return whether a certificate is no longer valid."""
    return certificate.not_valid_after_utc < datetime.now(UTC)


async def served(stack: Stack) -> list[Certificate]:
    """Return the certificates that bus and vault show to a new client that verifies them."""
    async with await joined(stack.parts.nats, "admin", allow_reconnect=False) as client:
        writer: Any = client._transport._io_writer  # type: ignore[union-attr]
        shown = [writer.get_extra_info("ssl_object")]
    trust = ssl.create_default_context(cafile=stack.parts.vault.ca)
    async with httpx.AsyncClient(verify=trust, trust_env=False) as http:
        answer = await http.get(f"{stack.parts.vault.url}/v1/sys/health")
        shown.append(answer.extensions["network_stream"].get_extra_info("ssl_object"))
    return [load_der_x509_certificate(each.getpeercert(binary_form=True)) for each in shown]


async def ready(stack: Stack) -> bool:
    """Return whether all services are connected to bus and vault."""
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        told = [(await client.get(f"{stack.operations(name)}/readyz")).json() for name in MODULES]
    return not any(part != "syncs" for each in told for part in (*each["not_ready"], *each["degraded"]))


async def test_certificates_are_replaced_while_syncs_run(stack: Stack) -> None:
    """Those of the start have ended when the services connect again: no request and no sync fails."""
    first, seen = files(stack), await served(stack)

    async def all_over() -> bool:
        return all(map(over, (*first.values(), *seen)))

    async with calling(stack.api) as person:
        load = Load([(person, (await person.connect(name))["id"]) for name in ACCOUNTS], SYNCS_PER_SECOND)
        async with load.running():
            await until(all_over, READY_SECONDS)
            assert not any(map(over, await served(stack)))
            await stack.processes.restart(stack.parts.nats.program)
            await until_it_accepts(stack.processes, stack.parts.nats)
            await until(lambda: ready(stack), READY_SECONDS)

    assert load.failed == {}
    await until(lambda: settled(stack), READY_SECONDS)
    assert await statuses(stack, load) == [("completed", len(load.accepted))]
    assert not any(map(over, (*files(stack).values(), *await served(stack))))


async def settled(stack: Stack) -> bool:
    """Return whether no sync is queued."""
    async with await stack.parts.database.connect(SUPERUSER) as connection:
        found = await connection.execute("select 1 from syncs where status = 'queued' limit 1")
        return await found.fetchone() is None


async def statuses(stack: Stack, load: Load) -> list[tuple[object, ...]]:
    """Return the ends of the load's syncs, each with their number."""
    counted = "select status, count(*) from syncs where id = any(%s::uuid[]) group by status"
    async with await stack.parts.database.connect(SUPERUSER) as connection:
        return await (await connection.execute(counted, [[*load.accepted]])).fetchall()

"""`docker compose up` in deploy/ ends in a system that answers, whose parts are kept apart."""

import json
import logging
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from deploy.local.ports import free_ports
from tests.containers.composing import Project, program
from tests.containers.engine import SERVICES
from tests.deploy.composed import SERVICES as COMPOSED
from tests.deploy.composed import SYSTEM
from tests.deploy.lives import calling
from tests.waiting import IN_THE_CLEAR, until

UP_SECONDS = 120.0
REACHING = """
import json, socket
def reached(address, port):
    try:
        return bool(socket.create_connection((address, port), 1))
    except OSError:
        return False
found = [name for name, port, places in SERVERS if any(reached(each, port) for each in places)]
print(json.dumps(found))
"""
# Servers with their ports, and the services that reach each.
PORTS = {"openbao": 8200, "database": 5432, "exchange": 8443, "nats": 4222}
REACHED = {
    "gateway": {"nats", "database"},
    "sync-worker": {"nats", "exchange"},
    "vault-broker": {"nats", "openbao"},
}
log = logging.getLogger(__name__)


@pytest.fixture(name="project", scope="module")
def _project() -> Iterator[Project]:
    """Start the system of the files once; its containers, networks and volumes are deleted at the end."""
    command = program()
    if command is None:
        pytest.skip("needs `docker compose`, or Debian's docker-compose")
    project = Project(command, f"butler-test-{uuid4().hex[:8]}", free_ports(1)[0])
    log.info("read by %s", project.run("version").splitlines()[0])
    try:
        project.run("up", "--detach")
        yield project
    finally:
        project.run("down", "--volumes", "--timeout", "1")


async def answers(project: Project) -> None:
    """Wait until the API is ready."""

    async def ready() -> bool:
        try:
            return (await client.get(f"{project.url}/readyz")).is_success
        except httpx.TransportError:
            return False

    async with httpx.AsyncClient(verify=IN_THE_CLEAR, trust_env=False, timeout=5) as client:
        await until(ready, UP_SECONDS)


async def test_a_user_connects_and_syncs_also_after_another_start(project: Project) -> None:
    """Keys and data outlive the containers: what was stored in the vault signs, and nobody is signed out."""
    await answers(project)
    async with calling(project.url) as person:
        account = (await person.connect("plain"))["id"]
        assert (await person.post(f"/accounts/{account}/sync", Prefer="wait=60"))["status"] == "completed"
        held = await person.get(f"/accounts/{account}/balances")

        project.run("down", "--timeout", "20")
        project.run("up", "--detach")
        await answers(project)

        assert await person.get(f"/accounts/{account}/balances") == held
        assert (await person.post(f"/accounts/{account}/sync", Prefer="wait=60"))["status"] == "completed"


async def test_containers_are_what_the_file_says(project: Project) -> None:
    """Each runs as a user without rights on a read-only system with a limit; commands have ended well."""
    await answers(project)
    lasting = {name for name, service in COMPOSED.items() if service["restart"] != "no"}

    async def healthy() -> bool:
        states = {name: each["State"] for name, each in project.containers().items()}
        return {name for name in lasting if states[name]["Health"]["Status"] == "healthy"} == lasting

    await until(healthy, UP_SECONDS)
    containers = project.containers()

    assert containers.keys() == COMPOSED.keys()
    for name, each in containers.items():
        host = each["HostConfig"]
        assert each["Config"]["User"] == COMPOSED[name]["user"]
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["CapAdd"]) == (True, ["ALL"], None)
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert host["Memory"] == int(COMPOSED[name]["mem_limit"].removesuffix("m")) * 2**20
        assert (each["State"]["Running"], each["State"]["ExitCode"]) == (name in lasting, 0), name


async def test_a_service_reaches_only_what_it_needs(project: Project) -> None:
    """By address: the vault, the database and the exchange each answer one of the three."""
    await answers(project)
    containers = project.containers()
    servers = [
        (name, port, [each["IPAddress"] for each in containers[name]["NetworkSettings"]["Networks"].values()])
        for name, port in PORTS.items()
    ]
    code = f"SERVERS = {servers!r}{REACHING}"

    assert {name: {*json.loads(project.inside(name, code))} for name in SERVICES} == REACHED
    outside = {name for name, told in SYSTEM["networks"].items() if not told.get("internal")}
    assert outside == {"api"}

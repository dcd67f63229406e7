"""`docker compose up` in deploy/ ends in a system that answers, whose parts are kept apart."""

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
REACHING = "import socket; socket.create_connection(({host!r}, {port}), 3)"
# Servers by the port on which each listens, and the services that reach it.
REACHED = {
    ("openbao", 8200): {"vault-broker"},
    ("database", 5432): {"gateway"},
    ("exchange", 8443): {"sync-worker"},
    ("nats", 4222): {*SERVICES},
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
        project.run("down", "--volumes", "--timeout", "20")


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
    containers = project.containers()

    assert containers.keys() == COMPOSED.keys()
    for name, each in containers.items():
        host = each["HostConfig"]
        assert each["Config"]["User"] == COMPOSED[name]["user"]
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["CapAdd"]) == (True, ["ALL"], None)
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert host["Memory"] == int(COMPOSED[name]["mem_limit"].removesuffix("m")) * 2**20
        again = COMPOSED[name]["restart"] != "no"
        assert (each["State"]["Running"], each["State"]["ExitCode"]) == (again, 0), name


async def test_a_service_reaches_only_what_it_needs(project: Project) -> None:
    """From inside the containers: the vault, the database and the exchange each answer one of the three."""
    await answers(project)
    reached = {
        (host, port): {
            name for name in SERVICES if project.inside(name, REACHING.format(host=host, port=port))
        }
        for host, port in REACHED
    }

    assert reached == REACHED
    assert {network for network, told in SYSTEM["networks"].items() if not told.get("internal")} == {"api"}

"""Code in one service opens only that service's keys, whether root or another user started the stack."""

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local import kernel
from deploy.local.confinement import ROOT, Reach, Way, best_way, python
from deploy.local.nats import Nats
from deploy.local.processes import Program
from deploy.local.stack import Stack
from deploy.local.veil import draw, needed_veils
from tests.deploy.robbing import SERVICES, attempted, ids, own_files, robbed, with_python

UNPRIVILEGED = pwd.getpwnam("nobody").pw_uid  # initdb requires an existing user
SECONDS = 240
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives each service a user")
WAYS = [
    pytest.param(lambda: Way(users=True, mounts=True, landlock=0), id="users alone", marks=as_root),
    pytest.param(best_way, id="the best way"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_opens_no_key_but_its_own(
    shared_stack: Stack, service: str, way: Callable[[], Way]
) -> None:
    """It finds its own files and no other of the stack, also not through other processes."""
    loot = await robbed(shared_stack, service, way())

    assert loot.files == own_files(shared_stack.parts.directory, service)
    assert loot.views == []
    assert loot.system == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_sees_into_no_other_process(
    shared_stack: Stack, service: str, way: Callable[[], Way]
) -> None:
    """Neither environment, memory, open files nor folders of another process, even of its own kind."""
    assert (await robbed(shared_stack, service, way())).processes == []


@as_root
@pytest.mark.parametrize("way", WAYS)
async def test_the_bus_opens_no_key_of_a_service(
    shared_stack: Stack, nats: Nats, way: Callable[[], Way]
) -> None:
    """The server has its configuration, which names public keys, and its streams."""
    loot = await attempted(shared_stack, with_python(nats.program), way())

    own = (str(nats.configuration.parent), str(nats.home / "jetstream"))
    assert [path for path in loot.files if not path.startswith(own)] == []
    assert (loot.views, loot.system, loot.processes) == ([], [], [])


@as_root
async def test_the_database_reads_nothing_of_roots(shared_stack: Stack) -> None:
    """PostgreSQL's user has its own folder, but cannot read files of root alone."""
    home = shared_stack.parts.directory / "postgres" / "data"
    program = Program("postgres", [], reach=Reach("postgres", (), (home,)))

    loot = await attempted(shared_stack, with_python(program), Way(users=True, mounts=True, landlock=0))

    assert [path for path in loot.files if not path.startswith(str(home))] == []
    assert (loot.views, loot.system) == ([], [])


def status(process: int, name: str) -> str:
    """Return a field of a process's status."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:"))


@as_root
async def test_every_part_has_a_user_of_its_own_and_no_capability(shared_stack: Stack) -> None:
    """No part is root or belongs to root's groups, and none can gain rights."""
    parts = ids(shared_stack).values()

    users = {status(part, "Uid") for part in parts}
    assert len(users) == len(parts)
    assert not any("0" in user.split() for user in users)
    for part in parts:
        assert {status(part, f"Cap{kind}") for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
        assert (status(part, "NoNewPrivs"), status(part, "Groups")) == ("1", "")


async def test_no_part_leaves_a_core_dump(shared_stack: Stack) -> None:
    """Both the soft and the hard limit of core dumps are zero."""
    for part in ids(shared_stack).values():
        limits = Path(f"/proc/{part}/limits").read_text().splitlines()
        cores = next(line for line in limits if line.startswith("Max core file size"))
        assert cores.split()[4:6] == ["0", "0"]


def unprivileged(directory: Path) -> Callable[[], None] | None:
    """Return a setup that makes a child another user than root, with a view of the files that it needs."""
    if os.geteuid() != 0:
        return None
    veils = needed_veils([*python(), ROOT, directory], UNPRIVILEGED, UNPRIVILEGED)
    os.chown(directory, UNPRIVILEGED, UNPRIVILEGED)

    def become() -> None:
        kernel.unshare_mounts()
        draw(veils)
        os.setgroups([])
        os.setresgid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED)
        os.setresuid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED)

    return become


@pytest.mark.skipif(not kernel.landlock_version(), reason="this kernel has no Landlock")
def test_started_by_another_user_than_root_landlock_keeps_them_apart(tmp_path: Path) -> None:
    """All parts have one user then, and each opens only its own files; the start reports that."""
    directory = tmp_path / "home"
    directory.mkdir(mode=0o700)
    run = subprocess.run(
        [sys.executable, "-m", "tests.deploy.robbing", str(directory / "butler")],
        preexec_fn=unprivileged(directory),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    said = [json.loads(line) for line in run.stdout.splitlines()]
    assert [each["service"] for each in said] == list(SERVICES)
    for each in said:
        assert each["files"] == each["own"] != []
        assert (each["views"], each["processes"]) == ([], [])
        assert any("Landlock" in line and "one user" in line for line in each["told"])

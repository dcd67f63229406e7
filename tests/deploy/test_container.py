"""In a container with less than root's rights the stack starts, and says truly what keeps services apart."""

import os
import pwd
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from deploy.local import kernel
from deploy.local.services import MODULES
from deploy.local.veil import needed_veils
from tests.deploy.container import DAC_OVERRIDE, DAC_READ_SEARCH, SYS_ADMIN, before
from tests.deploy.earlier import stopped
from tests.deploy.test_stack import Up, up

NOBODY = pwd.getpwnam("nobody")
PACKAGES = Path(sysconfig.get_path("purelib"))
ENTERING = (DAC_OVERRIDE, DAC_READ_SEARCH)
WITHOUT_LANDLOCK = (kernel.SYS_LANDLOCK_CREATE_RULESET,)

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or bool(needed_veils([PACKAGES], NOBODY.pw_uid, NOBODY.pw_gid)),
    reason="only root has rights to give up, and its database must be reached without mounts",
)


@pytest.fixture(name="directory")
def _directory() -> Iterator[Path]:
    """Yield a folder below open ones: without mounts the database's user has to come there."""
    with TemporaryDirectory(prefix="butler-") as open_to_all:
        Path(open_to_all).chmod(0o755)
        yield Path(open_to_all) / "butler"


def users(running: Up) -> set[int]:
    """Return the users whom the three services run as."""
    return {running.part(module).uids().real for module in MODULES.values()}


def assert_it_is_true(running: Up, *, landlock: bool) -> None:
    """Fail when what the start has said is not what holds: users by their ids, Landlock by what there is."""
    said, apart = running.said.read_text(), len(users(running)) == len(MODULES)

    assert ("user of its own" in said) == apart
    assert ("Landlock (version" in said) == landlock
    assert ("WARNING" in said) == (not apart and not landlock)


@pytest.mark.parametrize("calls", [(), WITHOUT_LANDLOCK], ids=["Landlock", "no Landlock"])
def test_without_the_right_to_mount_the_stack_starts(directory: Path, calls: tuple[int, ...]) -> None:
    """The folder of a service is closed to others: what can not be mounted there is not said to be."""
    landlock = bool(kernel.landlock_version()) and not calls
    with up(directory, *before((SYS_ADMIN,), calls)) as running:
        assert_it_is_true(running, landlock=landlock)
        stopped(running)


def test_without_the_right_to_enter_closed_folders_the_same_data_are_used(directory: Path) -> None:
    """What an earlier start gave to users is root's again, and given to them by the next one."""
    with up(directory) as running:
        stopped(running)
    for rights in ((SYS_ADMIN, *ENTERING), ()):
        with up(directory, *before(rights)) as running:
            assert len(users(running)) == (1 if rights else len(MODULES))
            assert_it_is_true(running, landlock=bool(kernel.landlock_version()))
            stopped(running)

"""Root that starts a stack follows no link or folder of another user; a refusal says how to continue."""

import os
import pwd
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.confinement import USERS, best_way
from deploy.local.ownership import require_own
from deploy.local.ports import free_ports
from deploy.local.services import with_own_files
from deploy.private_files import write_private
from tests.deploy.test_stack import STOP_SECONDS, command

STRANGER = pwd.getpwnam("nobody").pw_uid
OF_STRANGER = 4000

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="another user than root can change nothing of others"
)


def given(path: Path, user: int = OF_STRANGER) -> Path:
    """Make another user the owner of a file, a folder or a link."""
    os.chown(path, user, user, follow_symlinks=False)
    return path


@pytest.fixture(name="directory")
def _directory(tmp_path: Path) -> Path:
    directory = tmp_path / "butler"
    directory.mkdir(mode=0o700)
    return directory


@pytest.fixture(name="elsewhere")
def _elsewhere(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere"
    path.mkdir()
    (path / "file").write_text("root's")
    return path


def foreign_folder(directory: Path, elsewhere: Path) -> Path:
    """Make another user own the folder, with a link in place of its lock."""
    (directory / "lock").symlink_to(elsewhere / "file")
    return given(directory)


def foreign_lock(directory: Path, elsewhere: Path) -> Path:
    """Put another user's link in place of the lock."""
    (directory / "lock").symlink_to(elsewhere / "file")
    given(directory / "lock")
    return directory


def foreign_keys(directory: Path, elsewhere: Path) -> Path:
    """Put another user's link in place of a folder."""
    (directory / "keys").symlink_to(elsewhere)
    given(directory / "keys")
    return directory


def foreign_link(directory: Path, elsewhere: Path) -> Path:
    """Return another user's link to a folder of root."""
    link = directory.with_name("link")
    link.symlink_to(elsewhere)
    return given(link)


def foreign_link_above(directory: Path, elsewhere: Path) -> Path:
    """Return a path below such a link."""
    return foreign_link(directory, elsewhere) / "butler"


def open_to_others(directory: Path, elsewhere: Path) -> Path:
    """Let other users write to the folder."""
    assert elsewhere.exists()
    directory.chmod(0o777)
    return directory


CASES = [foreign_folder, foreign_lock, foreign_keys, foreign_link, foreign_link_above, open_to_others]


@pytest.mark.parametrize("case", CASES)
def test_a_folder_that_another_user_can_change_is_refused(
    directory: Path, elsewhere: Path, case: Callable[[Path, Path], Path]
) -> None:
    """No file is made, written or given away, there or at targets of links; a sentence says what to do."""
    named = case(directory, elsewhere)
    (port,) = free_ports(1)
    before = sorted(directory.iterdir())

    refused = subprocess.run(
        command(named, port), capture_output=True, text=True, timeout=STOP_SECONDS, check=False
    )

    assert refused.returncode == 1
    assert "--directory" in refused.stderr or "chmod go-w" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert sorted(directory.iterdir()) == before
    assert list(elsewhere.iterdir()) == [elsewhere / "file"]
    assert ((elsewhere / "file").read_text(), (elsewhere / "file").stat().st_uid) == ("root's", 0)


def test_what_root_and_its_programs_made_is_not_refused(directory: Path, elsewhere: Path) -> None:
    """Folders of the programs' users, root's own links, and a folder that does not exist yet."""
    for user in (*USERS.values(), STRANGER):
        (directory / str(user)).mkdir()
        given(directory / str(user), user)
    (directory / "openbao").symlink_to(elsewhere)
    link = directory.with_name("link")
    link.symlink_to(directory)

    for path in (directory, link, directory / "new" / "deep"):
        require_own(path)


def test_the_lock_is_no_link(directory: Path, elsewhere: Path) -> None:
    """The start does not follow root's own link either, because it would empty the target."""
    (directory / "lock").symlink_to(elsewhere / "file")
    (port,) = free_ports(1)

    refused = subprocess.run(
        command(directory, port), capture_output=True, text=True, timeout=STOP_SECONDS, check=False
    )

    assert refused.returncode == 1
    assert (elsewhere / "file").read_text() == "root's"


def test_a_program_can_not_have_root_copy_a_key_for_another(directory: Path, elsewhere: Path) -> None:
    """If the exchange links to a key in place of its certificate, the worker does not get that key."""
    link = directory / "ca.pem"
    link.symlink_to(elsewhere / "file")
    settings = {"EXCHANGE_CA_FILE": str(link)}
    given(link, USERS["exchange"])

    with pytest.raises(OSError, match="symbolic links"):
        with_own_files(directory, "sync-worker", settings, best_way())
    given(link, 0)

    assert Path(with_own_files(directory, "sync-worker", settings, best_way())["EXCHANGE_CA_FILE"]).is_file()


def test_a_private_file_has_its_owner_before_it_has_its_name(directory: Path, elsewhere: Path) -> None:
    """In a program's folder the opened file changes its owner: a link in its place is replaced."""
    path = directory / "nats.conf"
    path.symlink_to(elsewhere / "file")

    write_private(path, b"new", (OF_STRANGER, OF_STRANGER))

    assert (path.read_text(), path.stat().st_uid, path.is_symlink()) == ("new", OF_STRANGER, False)
    assert (elsewhere / "file").stat().st_uid == 0

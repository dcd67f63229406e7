"""An earlier commit of the repository, or a copy, run with the packages of today's environment."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import psutil
import pytest

from deploy.local.ports import LOOPBACK, free_ports
from tests.deploy.test_stack import STOP_SECONDS, Up, command, wait_until_ready

ROOT = Path(__file__).parents[2]
# The commit of the last release, from which users update.
BEFORE = (ROOT / "deploy" / "upgrade-from").read_text().strip()


@dataclass(frozen=True)
class Tree:
    """A tree of source files, and the interpreter whose path has its roots."""

    path: Path
    python: Path

    def environment(self, **settings: str) -> dict[str, str]:
        """Return this process's environment without paths into another tree."""
        return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | settings

    @contextmanager
    def up(self, directory: Path) -> Iterator[Up]:
        """Run this tree's stack with its data in a directory; its output goes to a file beside that."""
        (port,) = free_ports(1)
        _, *arguments = command(directory, port)
        said = directory.with_name(directory.name + ".said")
        with (
            said.open("w") as output,
            subprocess.Popen(
                [self.python, *arguments],
                cwd=self.path,
                env=self.environment(),
                stdout=output,
                stderr=output,
            ) as starter,
        ):
            try:
                wait_until_ready(starter, said)
                parts = psutil.Process(starter.pid).children(recursive=True)
                yield Up(starter, f"http://{LOOPBACK}:{port}", said, parts)
            finally:
                starter.kill()


TODAY = Tree(ROOT, Path(sys.executable))


def tree_of(commit: str, directory: Path) -> Tree:
    """Write the files of a commit into a directory; skips the test if git lacks them."""
    try:
        archive = subprocess.run(
            ["git", "-C", ROOT, "archive", "--format=tar", commit], capture_output=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        words = getattr(error, "stderr", b"") or str(error).encode()
        pytest.skip(f"the history of this checkout does not hold {commit}: {words.decode().strip()}")
    path = directory / "tree"
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        if hasattr(tarfile, "data_filter"):  # since Python 3.11.4
            files.extraction_filter = tarfile.data_filter
        files.extractall(path)  # noqa: S202 - of our own repository
    return Tree(path, _python(path, directory / "environment"))


def copy_of_today(directory: Path) -> Tree:
    """Copy today's source files into a directory."""
    path = directory / "tree"
    for name in ("contracts", "services", "deploy"):
        shutil.copytree(ROOT / name, path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Makefile", path)
    return Tree(path, _python(path, directory / "environment"))


def stopped(running: Up) -> None:
    """Stop a stack in order."""
    running.starter.terminate()
    assert running.starter.wait(STOP_SECONDS) == 0
    running.assert_all_gone()


def _python(tree: Path, environment: Path) -> Path:
    """Make an interpreter with the roots of a tree before the packages of this environment.

    The stack finds its programs beside its interpreter, so they are of the tree, too.
    """
    binaries, packages = environment / "bin", Path(sysconfig.get_path("purelib"))
    own = environment / packages.relative_to(sys.prefix)
    binaries.mkdir(parents=True)
    own.mkdir(parents=True)
    for program in Path(sys.executable).parent.iterdir():
        (binaries / program.name).symlink_to(program)
    (environment / "pyvenv.cfg").write_text(f"home = {sys.base_prefix}/bin\n")
    (own / "tree.pth").write_text("\n".join([*map(str, _roots(tree)), str(packages)]))
    return binaries / Path(sys.executable).name


def _roots(tree: Path) -> list[Path]:
    """Read the folders on the path from a tree's Makefile."""
    roots = re.search(r"^ROOTS := (.*)$", (tree / "Makefile").read_text(), re.MULTILINE)
    assert roots is not None
    return [tree / root for root in roots.group(1).split()]

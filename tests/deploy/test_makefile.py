"""The Makefile works in a clone whose path has spaces."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 120


@pytest.fixture(name="clone")
def _clone(tmp_path: Path) -> Path:
    """Return the Makefile in a folder of such a path, with the roots of our code and no requirements."""
    clone = tmp_path / "a path  with spaces" / "my clone"
    makefile = (ROOT / "Makefile").read_text()
    roots = re.search(r"^ROOTS := (.*)$", makefile, re.MULTILINE)
    assert roots is not None
    for root in (*roots.group(1).split(), "requirements"):
        (clone / root).mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "Makefile", clone)
    (clone / "requirements" / "run.txt").write_text("")
    return clone


def made(clone: Path, *words: str) -> str:
    """Run make in the clone and return what it says."""
    command = ["make", *words, f"PYTHON={sys.executable}"]
    run = subprocess.run(command, cwd=clone, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_help_and_up_are_known_in_a_path_with_spaces(clone: Path) -> None:
    """`make help` lists the commands, and `make -n up` ends with the start of the stack."""
    assert "make up" in made(clone, "help")
    assert "-m deploy.local up --port 3000" in made(clone, "-n", "up")


def test_the_environment_leads_to_code_in_a_path_with_spaces(clone: Path) -> None:
    """Each root of the code stands on the interpreter's path, whole."""
    made(clone, ".venv/run.stamp")
    python = clone / ".venv" / "bin" / "python"
    path = subprocess.run(
        [python, "-c", "import sys; print(*sys.path, sep='\\n')"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    ).stdout.splitlines()

    roots = ("contracts", "services/chassis", "services/gateway", "services/sync-worker", ".")
    assert {str(clone / root) for root in roots} <= {*path}

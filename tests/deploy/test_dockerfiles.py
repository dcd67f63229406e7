"""The files that images are made from, checked without a container engine."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTAINERS = ROOT / "deploy" / "containers"
DOCKERFILES = sorted(CONTAINERS.glob("*Dockerfile"))
PARTS = ("gateway", "sync-worker", "vault-broker", "provisioning", "exchange")
SECONDS = 60


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command at the root of the repository."""
    told = {**os.environ, **environment}
    return subprocess.run(
        command, cwd=ROOT, env=told, capture_output=True, text=True, timeout=SECONDS, check=False
    )


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_hadolint_finds_nothing(file: Path) -> None:
    """Each exception stands in the file itself, above its line."""
    found = run(Path(sys.executable).with_name("hadolint"), file)

    assert found.returncode == 0, found.stdout + found.stderr


@pytest.fixture(name="context", scope="module")
def _context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what `.dockerignore` lets the engine see."""
    context = tmp_path_factory.mktemp("context")
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    for found in (path for line in lines if line.startswith("!") for path in ROOT.glob(line[1:])):
        place = context / found.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        if found.is_dir():
            shutil.copytree(found, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(found, place)
    return context


@pytest.mark.parametrize("part", PARTS)
def test_an_image_gets_the_code_of_its_part_alone(part: str, context: Path, tmp_path: Path) -> None:
    """No tests, no caches and no code of another part, and for the exchange none of ours but its own."""
    done = run("sh", CONTAINERS / "code.sh", context, part, tmp_path / "code")
    assert done.returncode == 0, done.stderr
    copied = {
        path.relative_to(tmp_path / "code") for path in (tmp_path / "code").rglob("*") if path.is_file()
    }
    services = {path.parts[0] for path in copied} & {"gateway", "sync_worker", "vault_broker"}

    assert services <= {part.replace("-", "_"), *(["vault_broker"] if part == "provisioning" else [])}
    assert not [path for path in copied if {"tests", "__pycache__"} & {*path.parts}]
    assert any(path.parts[:2] == ("deploy", "simulator") for path in copied) == (part == "exchange")


def test_no_host_of_a_mirror_or_index_is_committed() -> None:
    """The machine that builds is set to its own mirror and index."""
    texts = [path.read_text() for path in CONTAINERS.iterdir()]

    assert not [
        found for text in texts for found in re.findall(r"https?://(?!cyclonedx)\S+|index-url=\S+", text)
    ]


def test_without_an_engine_containers_are_refused_in_one_line(tmp_path: Path) -> None:
    """The run fails, unless WITHOUT_CONTAINERS=1 says that it may do without."""
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "dockerd").write_text("#!/bin/sh\necho 'no cgroups here' >&2\nexit 1\n")
    for program in ("docker", "dockerd"):
        (tmp_path / program).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    ended = run("bash", CONTAINERS / "with-engine.sh", "false", PATH=path, DOCKER="", WITHOUT_CONTAINERS="")
    allowed = run(
        "bash", CONTAINERS / "with-engine.sh", "false", PATH=path, DOCKER="", WITHOUT_CONTAINERS="1"
    )

    assert (ended.returncode, allowed.returncode) == (1, 0)
    assert ended.stderr.splitlines() == ["No container engine can start here: no cgroups here"]
    refused = run("bash", CONTAINERS / "build.sh", "gateway", DOCKER=shlex.quote(str(tmp_path / "docker")))
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1


def test_an_engine_that_answers_another_client_is_used(tmp_path: Path) -> None:
    """DOCKER names the client; no engine is started beside its own."""
    for program, words in (("client", "exit 0"), ("docker", "exit 1"), ("dockerd", "echo started")):
        (tmp_path / program).write_text(f"#!/bin/sh\n{words}\n")
        (tmp_path / program).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    ended = run(
        "bash", CONTAINERS / "with-engine.sh", "echo", "done", PATH=path, DOCKER=str(tmp_path / "client")
    )

    assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr


def test_the_tests_of_containers_end_without_an_engine(tmp_path: Path) -> None:
    """One line instead of a failure for each test."""
    tests = (
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n0",
        "-m",
        "containers",
        "tests/containers/test_contents.py",
    )
    missing = str(tmp_path / "docker")
    ended = run(*tests, DOCKER=missing, WITHOUT_CONTAINERS="")
    allowed = run(*tests, DOCKER=missing, WITHOUT_CONTAINERS="1")

    assert ended.returncode == 1
    assert "No container engine answers" in ended.stdout + ended.stderr
    assert allowed.returncode == 0
    assert "passed" not in allowed.stdout

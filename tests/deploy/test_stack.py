"""One command starts the whole system, keeps its data, and leaves no process however it ends."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from deploy.local.confinement import best_way
from deploy.local.ports import LOOPBACK, free_ports

START_SECONDS = 90
STOP_SECONDS = 60
POLL_SECONDS = 0.05
LOGIN = {"email": "someone@example.com", "password": "correct horse battery staple"}
SECRETS = ("*.nk", "*.pem", "*.password", "*.key", "*_id", "audit.log", "nats.conf")


@dataclass
class Up:
    """A running `up`: its process, the address of its API, the file of its output, and its children."""

    starter: subprocess.Popen[bytes]
    api: str
    said: Path
    parts: list[psutil.Process]

    def part(self, program: str) -> psutil.Process:
        """Find a part by a word of its command line."""
        return next(part for part in self.parts if any(program in Path(word).name for word in part.cmdline()))

    def assert_all_gone(self) -> None:
        """Fail if a part still runs."""
        _, alive = psutil.wait_procs(self.parts, STOP_SECONDS)
        assert alive == []

    def post(self, path: str) -> httpx.Response:
        """Post the login."""
        return httpx.post(f"{self.api}/api/v1/auth/{path}", json=LOGIN, timeout=10)


def command(directory: Path, port: int) -> list[str]:
    """Return the command of `make up SIMULATED=1`."""
    return [
        *(sys.executable, "-m", "deploy.local", "up", "--simulated"),
        *("--directory", str(directory), "--port", str(port)),
    ]


@contextmanager
def up(directory: Path, *before: str) -> Iterator[Up]:
    """Start the stack and wait until it reports ready; its output goes to a file beside its data."""
    (port,) = free_ports(1)
    full = [*before, *command(directory, port)]
    said = directory.with_name(directory.name + ".said")
    with said.open("w") as output, subprocess.Popen(full, stdout=output, stderr=output) as starter:
        try:
            wait_until_ready(starter, said)
            parts = psutil.Process(starter.pid).children(recursive=True)
            yield Up(starter, f"http://{LOOPBACK}:{port}", said, parts)
        finally:
            starter.kill()


def wait_until_ready(starter: subprocess.Popen[bytes], said: Path) -> None:
    """Poll the starter's output until the last line of a start."""
    deadline = time.monotonic() + START_SECONDS
    while "Ctrl-C stops everything." not in said.read_text():
        assert starter.poll() is None, said.read_text()
        assert time.monotonic() < deadline, said.read_text()
        time.sleep(POLL_SECONDS)


def test_data_outlives_a_killed_starter_and_processes_do_not(tmp_path: Path) -> None:
    """After kill -9 no process is left; the next start finds every user, and SIGTERM is exit code 0."""
    with up(tmp_path) as first:
        assert first.post("register").status_code == httpx.codes.CREATED
        first.starter.kill()
        first.assert_all_gone()

    with up(tmp_path) as second:
        assert second.post("login").status_code == httpx.codes.OK
        second.starter.terminate()
        assert second.starter.wait(STOP_SECONDS) == 0
        second.assert_all_gone()


def test_the_stack_ends_with_whoever_runs_it(tmp_path: Path) -> None:
    """When `make` is killed with -9, the starter below it stops everything."""
    with up(tmp_path, "sh", "-c", '"$@"; exit', "sh") as running:
        running.starter.kill()

        running.assert_all_gone()


@pytest.fixture(name="running", scope="module")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Up, Path]]:
    directory = tmp_path_factory.mktemp("up")
    with up(directory) as running:
        yield running, directory


def test_keys_are_readable_by_their_owner_only(running: tuple[Up, Path]) -> None:
    """Every file that holds a secret has mode 0600, and their folder 0700; certificates are public."""
    _, directory = running
    secret = [path for pattern in SECRETS for path in directory.rglob(pattern) if "public" not in path.name]
    private = [path for path in secret if path.name not in ("ca.pem", "server.pem")]

    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in private}

    assert len(private) > 15
    assert {name: mode for name, mode in modes.items() if mode != "0o600"} == {}
    assert (directory / "keys").stat().st_mode & 0o777 == 0o700


def test_the_start_says_what_keeps_the_services_apart(running: tuple[Up, Path]) -> None:
    """The output says whether users, Landlock or neither keep services from each other's keys."""
    assert best_way().words() in running[0].said.read_text()


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    """The message names the port and the remedy; no file is made."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        directory = tmp_path / "butler"
        refused = subprocess.run(
            command(directory, port), capture_output=True, text=True, timeout=STOP_SECONDS, check=False
        )

    assert refused.returncode == 1
    assert f"port {port}" in refused.stderr
    assert "PORT=" in refused.stderr
    assert not directory.exists()


def test_two_stacks_do_not_share_data(running: tuple[Up, Path]) -> None:
    """A second start on the same directory is refused and does not affect the first."""
    first, directory = running
    (port,) = free_ports(1)

    refused = subprocess.run(
        command(directory, port), capture_output=True, text=True, timeout=STOP_SECONDS, check=False
    )

    assert refused.returncode == 1
    assert "stop it first" in refused.stderr
    assert httpx.get(f"{first.api}/readyz", timeout=10).status_code == httpx.codes.OK


@pytest.mark.parametrize(
    ("program", "name"), [("sync_worker", "sync-worker"), ("nats-server", "nats"), ("postgres", "postgres")]
)
def test_a_crashed_part_ends_the_stack_and_is_named(tmp_path: Path, program: str, name: str) -> None:
    """When one part is killed the others are stopped; exit code 1, and the message names the killed one."""
    with up(tmp_path) as running:
        running.part(program).send_signal(signal.SIGKILL)

        assert running.starter.wait(STOP_SECONDS) == 1
        errors = running.said.read_text()
        assert re.search(rf"{name} ended with signal SIGKILL\. The end of .*{name}\.log", errors)
        running.assert_all_gone()

"""Containers of the built images, by the engine's command line."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import pytest

from deploy.local.processes import PLAIN_ENVIRONMENT
from deploy.local.services import FILES, Infrastructure, environments, service_ports

MISSING = "No container engine answers `docker version`: start dockerd, or set WITHOUT_CONTAINERS=1 to skip"
DOCKER = os.environ.get("DOCKER", "docker")
SECONDS = 120
STOP_SECONDS = 60
USER = 10001
SERVICES = ("gateway", "sync-worker", "vault-broker")
# TAG names those of a trial (`TAG=mine make images`).
TAG = os.environ.get("TAG") or "latest"
IMAGES = {part: f"butler-{part}:{TAG}" for part in (*SERVICES, "provisioning", "exchange")}
SECRETS = "/run/secrets/butler"
# All that a container must not need: writing, capabilities, new rights.
CONFINED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
SHELLS = ("/usr/bin/sh", "/usr/bin/dash", "/usr/bin/bash")
WITHOUT_SHELL = tuple(word for shell in SHELLS for word in ("--volume", f"/dev/null:{shell}:ro"))


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command of the engine's client ended."""

    worked: bool
    output: str
    errors: str


def docker(*words: str, told: str = "") -> Ended:
    """Run the engine's client and return how it ended; without a client nothing works."""
    if shutil.which(DOCKER) is None:
        return Ended(worked=False, output="", errors=f"{DOCKER} is not installed")
    run = subprocess.run(
        [DOCKER, *words], input=told, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return Ended(run.returncode == 0, run.stdout, run.stderr)


def require_engine() -> None:
    """End the run in one line without an engine; WITHOUT_CONTAINERS=1 skips instead."""
    if docker("version").worked:
        return
    if os.environ.get("WITHOUT_CONTAINERS") == "1":
        pytest.skip(MISSING)
    pytest.exit(MISSING, returncode=1)


def inspected(image: str) -> dict[str, Any]:
    """Return the properties of an image."""
    known: dict[str, Any] = json.loads(docker("image", "inspect", image).output)[0]
    return known


def inside(part: str, program: str, *options: str) -> Any:
    """Run a program of Python in a confined container of an image, and return the JSON that it prints."""
    words = (
        "run",
        "--rm",
        "--interactive",
        "--network",
        "none",
        *CONFINED,
        *options,
        IMAGES[part],
        "python",
        "-",
    )
    ended = docker(*words, told=program)
    assert ended.worked, ended.errors
    return json.loads(ended.output)


def settings_of(parts: Infrastructure, service: str, folder: Path) -> dict[str, str]:
    """Return a service's settings for a container on the host's network, its files copied to a folder."""
    told = environments(parts, service_ports())[service]
    folder.mkdir()
    folder.chmod(0o755)
    settings = {name: text for name, text in told.items() if name not in PLAIN_ENVIRONMENT and text}
    for name in [name for name in settings if name.endswith(FILES)]:
        copy = shutil.copy(settings[name], folder)
        os.chown(copy, USER, USER)
        settings[name] = f"{SECRETS}/{Path(copy).name}"
    return settings


def sockets_in(settings: Mapping[str, str]) -> tuple[str, ...]:
    """Return the options that let a container into the folder of sockets that its settings name."""
    (host,) = parse_qs(urlsplit(settings.get("DATABASE_URL", "")).query).get("host", [""])
    if not host:
        return ()
    return "--volume", f"{host}:{host}:ro", "--group-add", str(Path(host).stat().st_gid)


@dataclass(frozen=True, slots=True)
class Container:
    """A running container of a service on the host's network, checked for health each second."""

    id: str
    operations: str

    @classmethod
    def start(cls, service: str, settings: Mapping[str, str], secrets: Path, image: str = "") -> Self:
        """Start a service, confined and without a shell; its image says all but settings and secrets."""
        told = [word for name, text in settings.items() for word in ("--env", f"{name}={text}")]
        health = ("--health-interval", "1s", "--health-start-period", "0s", "--health-retries", "2")
        mounts = ("--volume", f"{secrets}:{SECRETS}:ro", *sockets_in(settings), *WITHOUT_SHELL)
        named = image or IMAGES[service]
        ended = docker("run", "--detach", "--network", "host", *CONFINED, *mounts, *health, *told, named)
        assert ended.worked, ended.errors
        return cls(ended.output.strip(), f"http://127.0.0.1:{settings['OPERATIONS_PORT']}")

    def state(self) -> dict[str, Any]:
        """Return the state of the container, with its health."""
        known: dict[str, Any] = json.loads(docker("inspect", self.id).output)[0]["State"]
        return known

    async def healthy(self) -> bool:
        """Return whether the engine holds the container for healthy."""
        return bool(self.state()["Health"]["Status"] == "healthy")

    async def unhealthy(self) -> bool:
        """Return whether it runs, and the engine holds it for unhealthy."""
        state = self.state()
        return bool(state["Running"] and state["Health"]["Status"] == "unhealthy")

    def signal(self, name: str) -> None:
        """Send a signal to its process."""
        assert docker("kill", "--signal", name, self.id).worked

    def stop(self) -> None:
        """End it as an update does, with time for what it has begun; fails if that does not suffice."""
        assert docker("stop", "--time", str(STOP_SECONDS), self.id).worked
        assert self.state()["ExitCode"] == 0, self.logs()

    def logs(self) -> str:
        """Return all that it has written."""
        ended = docker("logs", self.id)
        return ended.output + ended.errors

    def remove(self) -> None:
        """End and delete it."""
        docker("rm", "--force", "--volumes", self.id)

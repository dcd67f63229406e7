"""Runs deploy/compose.yaml with Docker's program for it, `docker compose` or `docker-compose`."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.ports import LOOPBACK
from tests.containers.engine import DOCKER, TAG, docker

DEPLOY = Path(__file__).parents[2] / "deploy"
SECONDS = 300
# Images of `deploy/containers/base.sh`, in place of those that a registry has.
LOCAL = {"NATS_IMAGE": "nats", "POSTGRES_IMAGE": "postgres", "OPENBAO_IMAGE": "openbao"}


def program() -> list[str] | None:
    """Return the command that reads Compose files, None without one."""
    if docker("compose", "version").worked:
        return [DOCKER, "compose"]
    found = shutil.which("docker-compose")
    return [found] if found else None


def images() -> dict[str, str]:
    """Return the variables for the tested images, and for those of servers that were made on this machine."""
    made = {variable: f"butler-{name}:local" for variable, name in LOCAL.items()}
    found = {name: image for name, image in made.items() if docker("image", "inspect", image).worked}
    return found | {"TAG": TAG}


@dataclass(frozen=True, slots=True)
class Project:
    """One system of the Compose files, with the simulated exchange, on a port of its own."""

    program: list[str]
    name: str
    port: int

    @property
    def url(self) -> str:
        """Return the address of the API."""
        return f"http://{LOOPBACK}:{self.port}"

    def run(self, *words: str) -> str:
        """Run a command of Compose in the folder, and return its output; fails with its errors."""
        told = {"COMPOSE_PROJECT_NAME": self.name, "BUTLER_PORT": str(self.port), **images()}
        done = subprocess.run(
            [*self.program, *words],
            cwd=DEPLOY,
            env=os.environ | told,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def containers(self) -> dict[str, Any]:
        """Return what the engine knows of each container, by the name of its service."""
        mine = ("--filter", f"label=com.docker.compose.project={self.name}")
        found = docker("ps", "--all", "--quiet", *mine).output.split()
        known = json.loads(docker("inspect", *found).output) if found else []
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in known}

    def inside(self, service: str, code: str) -> str:
        """Run a program of Python in a running container, and return its output."""
        ended = docker("exec", self.containers()[service]["Id"], "python", "-c", code)
        assert ended.worked, ended.errors
        return ended.output

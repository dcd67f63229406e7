"""NATS, OpenBao and PostgreSQL from the wheels run as confined containers that reach each other by name."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.containers.engine import CONFINED, IMAGES, SECRETS, docker
from tests.waiting import until

SERVERS = {name: f"butler-{name}:local" for name in ("nats", "openbao", "postgres")}
SECONDS = 60.0
ASKING = """
import json, urllib.request
def status(url, **headers):
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5).status
nats = status("http://nats:8222/healthz?js-server-only=true")
print(json.dumps([nats, status("http://openbao:8200/v1/sys/mounts", **{"X-Vault-Token": "test"})]))
"""
ROLES = """#!/bin/sh
psql --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" <<'SQL'
create role butler_owner login createrole password 'test';
create database butler owner butler_owner;
SQL
"""


@pytest.fixture(name="network")
def _network() -> Iterator[str]:
    """Create a network, and delete it with its containers at the end."""
    if not all(docker("image", "inspect", image).worked for image in SERVERS.values()):
        pytest.skip("deploy/containers/base.sh has not made the images of the servers")
    network = f"butler-test-{uuid4().hex[:8]}"
    assert docker("network", "create", network).worked
    yield network
    for container in docker("ps", "--all", "--quiet", "--filter", f"network={network}").output.split():
        docker("rm", "--force", "--volumes", container)
    docker("network", "rm", network)


def start(network: str, name: str, *words: str) -> None:
    """Start a server that others on the network reach by its name."""
    head, tail = words[: words.index("--")], words[words.index("--") + 1 :]
    named = ("--network", network, "--network-alias", name, "--tmpfs", "/tmp")  # noqa: S108 - the container's
    ended = docker("run", "--detach", *CONFINED, *named, *head, SERVERS[name], *tail)
    assert ended.worked, ended.errors


def asked(network: str, part: str, *words: str, told: str = "") -> str | None:
    """Run a command of an image on the network, and return its output, or None if it failed."""
    ended = docker("run", "--rm", "--interactive", "--network", network, *CONFINED, part, *words, told=told)
    return ended.output if ended.worked else None


async def test_nats_and_openbao_answer_by_name(network: str) -> None:
    """With JetStream and in development mode, as tests use them."""
    start(network, "nats", "--", "-js", "-sd", "/data", "-m", "8222")
    start(network, "openbao", "--env", "VAULT_DEV_ROOT_TOKEN_ID=test", "--")

    async def answer() -> bool:
        answered = asked(network, IMAGES["exchange"], "python", "-", told=ASKING) or "[]"
        return bool(json.loads(answered) == [200, 200])

    await until(answer, SECONDS)


async def test_postgresql_begins_with_roles_and_is_migrated(network: str, tmp_path: Path) -> None:
    """It runs the scripts of its first start, and the command of the Job migrates its database."""
    for name in ("password", "gateway-password"):
        (tmp_path / name).write_text("test")
    (tmp_path / "roles.sh").write_text(ROLES)
    for path in tmp_path.iterdir():
        path.chmod(0o755)
    tmp_path.chmod(0o755)
    mount = ("--volume", f"{tmp_path}:/docker-entrypoint-initdb.d:ro")
    sockets = ("--tmpfs", "/var/run/postgresql:uid=10001")
    password = ("--env", "POSTGRES_PASSWORD_FILE=/docker-entrypoint-initdb.d/password")
    start(network, "postgres", *mount, *sockets, *password, "--")
    place = "postgres:5432/butler?sslmode=disable"
    options = (
        f"--url=postgresql://butler_owner@{place}",
        f"--password-file={SECRETS}/password",
        f"--gateway-password-file={SECRETS}/gateway-password",
    )
    head = ("run", "--rm", "--network", network, *CONFINED, "--volume", f"{tmp_path}:{SECRETS}:ro")
    job = (*head, IMAGES["provisioning"], "python", "-m", "deploy.database", *options)

    async def migrated() -> bool:
        return docker(*job).worked

    await until(migrated, SECONDS)
    url = f"DATABASE_URL=postgres://butler_owner:test@{place}"
    status = ("env", url, "dbmate", "--migrations-dir", "services/gateway/migrations", "status")
    ended = docker(*head, "--workdir", "/app/code", IMAGES["provisioning"], *status)
    assert "Pending: 0" in ended.output

"""The container engine and the built images."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local.nats import Nats
from deploy.local.openbao import OpenBao
from deploy.local.postgres import Postgres
from deploy.local.services import Infrastructure
from tests.containers.engine import IMAGES, Container, docker, require_engine, settings_of


@pytest.fixture(autouse=True, scope="session")
def _engine() -> None:
    """End the run in one line without an engine or an image; WITHOUT_CONTAINERS=1 skips instead."""
    require_engine()
    missing = [image for image in IMAGES.values() if not docker("image", "inspect", image).worked]
    if missing:
        pytest.exit(f"Images are missing, `make images` builds them: {', '.join(missing)}", returncode=1)


@pytest.fixture(name="infrastructure", scope="session")
def _infrastructure(directory: Path, nats: Nats, vault: OpenBao, database: Postgres) -> Infrastructure:
    """Return the servers of the local stack, which containers on the host's network reach."""
    return Infrastructure(directory, nats, vault, database, None)


@pytest.fixture(name="started")
def _started(infrastructure: Infrastructure, tmp_path: Path) -> Iterator[Callable[..., Container]]:
    """Start services as their images say, with settings of the local stack; removes them at the end."""
    containers: list[Container] = []

    def start(service: str, **changed: str) -> Container:
        settings = settings_of(infrastructure, service, tmp_path / f"{service}-{len(containers)}")
        container = Container.start(
            service, {**settings, **changed}, tmp_path / f"{service}-{len(containers)}"
        )
        containers.append(container)
        return container

    yield start
    for container in containers:
        container.remove()

"""What the programs of the system read: to check the files that start them, manifests and Compose alike."""

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import gateway.settings
import sync_worker.app
import vault_broker.settings
from chassis.settings import BadSetting
from deploy.local.services import OPTIONAL
from tests.deploy.test_settings import READERS, names_in

LOAD: dict[str, Callable[[Mapping[str, str]], Any]] = {
    "gateway": gateway.settings.load,
    "sync-worker": sync_worker.app.load,
    "vault-broker": vault_broker.settings.load,
}
LISTENING = {"LISTEN_HOST", "PORT", "OPERATIONS_PORT"}
FILE = re.compile(r"/run/secrets/[\w-]+/[\w.-]+")


def rooted(text: str, directory: Path) -> str:
    """Return a setting or argument whose files are in a directory of the test."""
    return FILE.sub(lambda found: f"{directory}{found[0]}", text)


def unread(service: str, stated: Collection[str]) -> set[str]:
    """Return the variables that a service does not read."""
    read = {*OPTIONAL[service]}.union(*(names_in(path) for path in READERS[service]))
    return {*stated} - read - {"LISTEN_HOST"}


def unneeded(service: str, variables: Mapping[str, str]) -> set[str]:
    """Return the variables without which a service starts, though they are not optional."""
    found = set()
    for name in variables.keys() - {*OPTIONAL[service]} - LISTENING:
        try:
            LOAD[service]({key: value for key, value in variables.items() if key != name})
            found.add(name)
        except BadSetting as error:
            assert name in str(error)  # noqa: PT017 - another setting must not be at fault
    return found


def parsed(module: str, line: list[str]) -> Any:
    """Return the options that a command reads from its line; fails if it refuses them."""
    if module == "chassis.bus.provision":
        from chassis.bus.provision import arguments  # noqa: PLC0415 - several of one name
    elif module == "deploy.database":
        from deploy.database.__main__ import arguments  # noqa: PLC0415
    elif module == "deploy.compose":
        from deploy.compose.__main__ import arguments  # noqa: PLC0415
    else:
        assert module == "deploy.vault"
        from deploy.vault.__main__ import arguments  # noqa: PLC0415
    return arguments(line)

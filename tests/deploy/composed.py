"""Reads the Compose files as Docker does, as far as they use it."""

from pathlib import Path
from typing import Any

import yaml

from deploy.compose.__main__ import write
from deploy.vault.provision import FINGERPRINTS

DEPLOY = Path(__file__).parents[2] / "deploy"
REAL, SIMULATED = DEPLOY / "compose.yaml", DEPLOY / "compose.override.yaml"
# What the provisioning adds to the volumes.
PROVISIONED = {
    "gateway": {"fingerprints.env": "".join(f"{name}={'0' * 64}\n" for name in FINGERPRINTS)},
    "vault-broker": {"broker.role_id": "role", "broker.secret_id": "secret"},
    "provisioning": {"recovery.key": "key"},
}

Composed = dict[str, Any]


def composed(*files: Path) -> Composed:
    """Return the files merged: mappings by key, all else from the last file."""
    whole: Composed = {}
    for file in files:
        whole = _merged(whole, yaml.load(file.read_text(), yaml.CSafeLoader))
    return whole


def _merged(one: Composed, other: Composed) -> Composed:
    both = {
        key: _merged(one[key], other[key])
        for key in one.keys() & other.keys()
        if isinstance(one[key], dict) and isinstance(other[key], dict)
    }
    return {**one, **other, **both}


SYSTEM = composed(REAL, SIMULATED)
SERVICES: dict[str, Composed] = SYSTEM["services"]


def default(text: str) -> str:
    """Return a text with the defaults of its variables: `${NAME:-default}` at its end or start."""
    head, variable, tail = text.partition("${")
    if not variable:
        return text
    name, _, rest = tail.partition("}")
    return head + name.partition(":-")[2] + default(rest)


def volumes(directory: Path) -> None:
    """Write each volume as a folder, with what the provisioning adds."""
    write(directory)
    for volume, files in PROVISIONED.items():
        for name, content in files.items():
            (directory / volume / name).write_text(content)


def mounted(service: str, directory: Path) -> Path:
    """Return a folder in which a service finds its volumes at their paths."""
    root = directory / f"root-of-{service}"
    for each in SERVICES[service]["volumes"]:
        place = root / each["target"].removeprefix("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(directory / each["source"], target_is_directory=True)
    return root

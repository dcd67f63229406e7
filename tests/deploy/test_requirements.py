"""Each image is installed from its own lock: exactly its requirements, pinned as in all locks."""

import json
import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from tests.imports import SOURCES, packages

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "requirements"
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
SERVICES = {"gateway": "gateway", "sync-worker": "sync_worker", "vault-broker": "vault_broker"}
# The extras of each image's lock.
ASKED = {
    **{service: ("contracts", "chassis", service) for service in SERVICES},
    "provisioning": ("contracts", "provisioning"),
    "exchange": ("exchange",),
}
PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>\S+)(?P<rest>.*(?:\n .*)*)", re.MULTILINE)
# An address, or a path of the machine that wrote the file.
PLACE = re.compile(r"\w+://|\bfile:|--(extra-)?index|--find-links|(^|[\s\"'=])[~\\]?/\w", re.MULTILINE)
NPM = LOCKS / "npm"
US = "crypto-pocket-butler (pyproject.toml)"
# Litestar's test client brings httpx into the gateway's lock; our own code does not import it there.
OWNERS = {
    "hvac": {"vault-broker"},
    "psycopg": {"gateway"},
    "psycopg-binary": {"gateway"},
    "psycopg-pool": {"gateway"},
    "litestar": {"gateway"},
    "aiohttp": {"sync-worker"},
    "httpx-aiohttp": {"sync-worker"},
}


def pins(lock: str) -> dict[str, str]:
    """Return the version of each package of a lock."""
    return {found["name"]: found["version"] for found in PIN.finditer((LOCKS / f"{lock}.txt").read_text())}


def direct(lock: str) -> set[str]:
    """Return the packages that pyproject.toml itself requires."""
    return {
        found["name"] for found in PIN.finditer((LOCKS / f"{lock}.txt").read_text()) if US in found["rest"]
    }


def without_funding(packages: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of an npm file without the addresses of sponsors."""
    return {name: each for name, each in packages.items() if name != "funding"}


def named(requirement: str) -> str:
    """Return the name in a requirement."""
    return re.split(r"[^a-z0-9-]", requirement, maxsplit=1)[0]


@pytest.mark.parametrize(("part", "extras"), ASKED.items())
def test_a_lock_has_what_its_part_asks_for(part: str, extras: tuple[str, ...]) -> None:
    """Its own requirements and those of the code that it shares, without those of another part."""
    assert direct(part) == {named(each) for extra in extras for each in EXTRAS[extra]}


@pytest.mark.parametrize(("package", "owners"), OWNERS.items())
def test_a_part_is_installed_for_its_service_only(package: str, owners: set[str]) -> None:
    """An attacker in a service finds no client library for systems that it must not call."""
    assert {service for service in SERVICES if package in pins(service)} == owners


def test_only_the_worker_asks_for_httpx() -> None:
    """Another service has it at most because a library of its own needs it."""
    assert [service for service in SERVICES if "httpx" in direct(service)] == ["sync-worker"]
    assert "httpx" not in pins("vault-broker")


@pytest.mark.parametrize("lock", [*ASKED, "test"])
def test_all_locks_agree_on_versions(lock: str) -> None:
    """A package has the same version in each lock as in the local stack."""
    run = pins("run")

    assert {name: version for name, version in pins(lock).items() if run.get(name, version) != version} == {}
    assert lock == "test" or pins(lock).keys() <= run.keys()


@pytest.mark.parametrize("lock", ["run", "test", "build", "manifests", "checkov", *ASKED])
def test_a_lock_has_hashes_and_no_addresses(lock: str) -> None:
    """A replaced package is refused, and everyone uses their own index."""
    text = (LOCKS / f"{lock}.txt").read_text()

    assert all("--hash=sha256:" in found["rest"] for found in PIN.finditer(text))
    assert not re.search(r"https?://|--(extra-)?index", text)


def test_the_lock_of_npm_has_hashes_and_no_addresses() -> None:
    """Npm would fetch a package from its `resolved` address, also with another registry configured."""
    lock = json.loads((NPM / "package-lock.json").read_text())
    locked = {name: each for name, each in lock["packages"].items() if name}

    assert [name for name, each in locked.items() if "resolved" in each] == []
    assert [name for name, each in locked.items() if not each["integrity"].startswith("sha512-")] == []


@pytest.mark.parametrize(
    "path", [*LOCKS.glob("*.*"), *NPM.glob("*.*")], ids=lambda path: str(path.relative_to(LOCKS))
)
def test_a_requirement_names_no_index_and_no_machine(path: Path) -> None:
    """No file has an address or a path of the machine that wrote it, except sponsors in npm files."""
    text = path.read_text()
    if path.suffix == ".json":
        text = json.dumps(json.loads(text, object_hook=without_funding))

    assert [found[0] for found in PLACE.finditer(text)] == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_imports_nothing_that_its_lock_lacks(service: str) -> None:
    """Every import of contracts, chassis and the service is in the standard library or in the lock."""
    folders = [SOURCES[owner] for owner in ("contracts", "chassis", SERVICES[service])]
    imported = set().union(*(packages(path) for folder in folders for path in folder.rglob("*.py")))
    distributions = packages_distributions()
    needed = {
        re.sub(r"[-_.]+", "-", distributions[module][0]).lower()
        for module in imported - {*SOURCES}
        if module in distributions
    }

    assert needed - pins(service).keys() == set()

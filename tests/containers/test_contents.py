"""Each image holds its own code and requirements, and nothing else; programs that run inside prove that."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement

from tests.containers.engine import CONFINED, IMAGES, SERVICES, USER, WITHOUT_SHELL, docker, inside, inspected

ROOT = Path(__file__).parents[2]
BASE = "butler-base:local"
BOUND_BYTES = 150_000_000
PIN = re.compile(r"^([a-z0-9-]+==\S+(?: ; .*?)?)(?: \\)?$", re.MULTILINE)
OWN = {
    "gateway": {"contracts", "chassis", "gateway"},
    "sync-worker": {"contracts", "chassis", "sync_worker"},
    "vault-broker": {"contracts", "chassis", "vault_broker"},
    "provisioning": {"contracts", "chassis", "vault_broker", "deploy", "services"},
    "exchange": {"deploy"},
}
# Modules, and the images in which they can be imported.
OWNERS = {
    "hvac": {"vault-broker"},
    "psycopg": {"gateway", "provisioning"},
    "litestar": {"gateway"},
    "aiohttp": {"sync-worker", "exchange"},
    "chassis.serve": {*SERVICES},
    "vault_broker.app": {"vault-broker"},
    "deploy.simulator": {"exchange"},
    "deploy.vault": {"provisioning"},
    **{each: set() for each in ("pip", "setuptools", "wheel", "pytest", "tests", "deploy.local.stack", "uv")},
}
IMPORTING = """
import importlib, json, sys
def found(name):
    try:
        return bool(importlib.import_module(name))
    except ImportError:
        return False
print(json.dumps([name for name in NAMES if found(name)]))
"""
ALL_OF_US = """
import importlib, json, pathlib
code = pathlib.Path("/app/code")
files = [path.relative_to(code) for path in code.rglob("*.py") if path.stem not in ("__main__", "__init__")]
for path in files:
    importlib.import_module(".".join(path.with_suffix("").parts))
print(json.dumps({"own": [path.name for path in code.iterdir() if path.is_dir()], "modules": len(files)}))
"""
SELF = """
import json, os, shutil, sys
def writes(path):
    try:
        open(path, "w").close()
        return True
    except OSError:
        return False
folders = ("/", "/app", "/app/code", "/tmp", "/var/tmp", "/etc", "/home", "/dev/shm")
programs = "gcc cc g++ clang ld as make pip pip3 pip3.11 uv curl wget git".split()
loose = [
    path for top, _, files in os.walk("/app") for path in (os.path.join(top, each) for each in files)
    if os.stat(path).st_uid != 0 or os.stat(path).st_mode & 0o6022
]
print(json.dumps({
    "user": os.getuid(), "group": os.getgid(), "groups": os.getgroups(), "python": list(sys.version_info[:2]),
    "writable": [each for each in folders if writes(os.path.join(each, "probe"))],
    "programs": [each for each in programs if shutil.which(each)],
    "loose": loose,
}))
"""
DISTRIBUTIONS = """
import importlib.metadata, json, re
names = ((each.name, each.version) for each in importlib.metadata.distributions())
print(json.dumps(sorted(f"{re.sub('[-_.]+', '-', name).lower()}=={version}" for name, version in names)))
"""
SIMULATED = """
import json, os, ssl, subprocess, sys, time, urllib.request
server = subprocess.Popen([sys.executable, "-m", "deploy.simulator", "--directory", "/tmp/exchange"])
address, deadline = "/tmp/exchange/address.json", time.monotonic() + 30
while not os.path.exists(address) and time.monotonic() < deadline:
    time.sleep(0.05)
told = json.load(open(address))
url = next(iter(told["exchanges"]["okx"].values())) + "/api/v5/public/time"
trust = ssl.create_default_context(cafile=told["ca"])
print(urllib.request.urlopen(url, context=trust, timeout=10).status)
server.terminate()
"""


def locked(part: str) -> set[str]:
    """Return the versions that the lock of a part pins for this platform."""
    found = map(Requirement, PIN.findall((ROOT / "requirements" / f"{part}.txt").read_text()))
    return {f"{each.name}{each.specifier}" for each in found if not each.marker or each.marker.evaluate()}


def sbom(part: str) -> dict[str, Any]:
    """Return the SBOM beside an image."""
    document: dict[str, Any] = json.loads((ROOT / "build" / "images" / f"butler-{part}.cdx.json").read_text())
    return document


def listed(part: str, kind: str) -> set[str]:
    """Return the components of a kind in an SBOM, as `name==version`."""
    return {
        f"{each['name']}=={each['version']}"
        for each in sbom(part)["components"]
        if each["purl"].startswith(f"pkg:{kind}/")
    }


@pytest.mark.parametrize("part", IMAGES)
def test_an_image_imports_its_own_and_nothing_else(part: str) -> None:
    """A client library of another part, pip and tests cannot be imported; all own modules can."""
    imported = set(inside(part, f"NAMES = {[*OWNERS]!r}{IMPORTING}"))

    assert imported == {module for module, owners in OWNERS.items() if part in owners}


@pytest.mark.parametrize("part", IMAGES)
def test_the_requirements_of_an_image_suffice(part: str) -> None:
    """Every module of the part's code can be imported."""
    found = inside(part, ALL_OF_US)

    assert {*found["own"]} == OWN[part]
    assert found["modules"] > 10


@pytest.mark.parametrize("part", IMAGES)
def test_a_container_is_an_unprivileged_user_on_a_read_only_system(part: str) -> None:
    """It runs as a numeric user without groups, and finds no compiler, no installer and no file to change."""
    found = inside(part, SELF, *WITHOUT_SHELL)

    assert (found["user"], found["group"]) == (USER, USER)
    assert {*found["groups"]} <= {USER}
    assert found["python"] == [3, 11]
    assert set(found["writable"]) <= {"/dev/shm"}  # noqa: S108 - the engine's own
    assert found["programs"] == []
    assert found["loose"] == []


@pytest.mark.parametrize("part", IMAGES)
def test_no_user_of_an_image_writes_to_its_code(part: str) -> None:
    """Also where the engine does not mount the root read-only, the code belongs to root."""
    words = ("run", "--rm", "--interactive", "--network", "none", IMAGES[part], "python", "-")
    writable = json.loads(docker(*words, told=SELF).output)["writable"]

    assert {*writable} <= {"/tmp", "/var/tmp", "/dev/shm"}  # noqa: S108 - open to all in the base


@pytest.mark.parametrize("part", IMAGES)
def test_the_sbom_lists_what_is_installed(part: str) -> None:
    """It is valid CycloneDX of this very image, and agrees with the lock, with Python and with dpkg."""
    installed = set(inside(part, DISTRIBUTIONS))
    words = (
        "run",
        "--rm",
        "--entrypoint",
        "dpkg-query",
        IMAGES[part],
        "-W",
        "-f",
        "${Package}==${Version}\\n",
    )
    text = json.dumps(sbom(part))

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert sbom(part)["metadata"]["component"]["hashes"][0]["content"] == inspected(IMAGES[part])["Id"][7:]
    assert listed(part, "pypi") == installed == locked(part)
    assert listed(part, "deb") == {*docker(*words).output.split()}


@pytest.mark.parametrize("part", IMAGES)
def test_an_image_says_where_it_is_from(part: str) -> None:
    """It has the labels of the Open Container Initiative, a numeric user, and no shell in its command."""
    config = inspected(IMAGES[part])["Config"]
    labels = {name.rpartition(".")[2]: text for name, text in config["Labels"].items()}

    assert labels["title"] == f"butler-{part}"
    assert all(labels[each] for each in ("version", "revision", "created", "description"))
    assert config["User"] == f"{USER}:{USER}"
    assert config["Cmd"][0] == "python"
    assert not any(each.lower().startswith(("pip", "secret")) for each in config["Env"])


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_a_health_check_and_names_its_ports(service: str) -> None:
    """The service's own code asks itself; its API and operations ports are exposed."""
    config = inspected(IMAGES[service])["Config"]
    port = dict(each.split("=", 1) for each in config["Env"])["OPERATIONS_PORT"]

    assert config["Healthcheck"]["Test"] == ["CMD", "python", "-m", "chassis.healthy"]
    assert f"{port}/tcp" in config["ExposedPorts"]


@pytest.mark.parametrize("part", IMAGES)
def test_an_image_is_small(part: str) -> None:
    """It adds less than 150 MB to its base."""
    if not docker("image", "inspect", BASE).worked:
        pytest.skip("another base than that of base.sh")
    assert inspected(IMAGES[part])["Size"] - inspected(BASE)["Size"] < BOUND_BYTES


def test_the_programs_of_provisioning_start() -> None:
    """Each of its commands finds all of its code, and the migrations are there."""
    for module in ("chassis.bus.provision", "deploy.database", "deploy.vault", "deploy.reloading"):
        ended = docker("run", "--rm", *CONFINED, IMAGES["provisioning"], "python", "-m", module, "--help")
        assert ended.worked, ended.errors
    migrations = {path.name for path in (ROOT / "services" / "gateway" / "migrations").glob("*.sql")}
    listing = 'import json, os; print(json.dumps(os.listdir("/app/code/services/gateway/migrations")))'
    assert {*inside("provisioning", listing)} == migrations
    assert docker("run", "--rm", *CONFINED, IMAGES["provisioning"], "dbmate", "--version").worked


def test_the_simulated_exchange_answers() -> None:
    """It needs one writable folder."""
    ended = docker(
        *("run", "--rm", "--interactive", "--network", "none", *CONFINED, "--tmpfs", "/tmp"),  # noqa: S108
        *(IMAGES["exchange"], "python", "-"),
        told=SIMULATED,
    )
    assert ended.output.splitlines()[-1:] == ["200"], ended.errors

"""deploy/compose.yaml agrees with programs, images and manifests, and keeps the parts apart."""

import os
import re
from ipaddress import ip_address
from pathlib import Path

import pytest
import yaml

from tests.deploy.composed import REAL, SERVICES, SIMULATED, SYSTEM, composed, default, mounted, volumes
from tests.deploy.loading import LOAD, parsed, rooted, unneeded, unread

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "containers" / "Dockerfile").read_text()
MANIFESTS = ROOT / "deploy" / "kubernetes"
COMMANDS = {"files", "provision-bus", "provision-database", "provision-vault"}
SERVERS = {"nats", "database", "openbao"}
NETWORKS = {
    "api": {"gateway"},
    "bus": {"nats", "provision-bus", *LOAD},
    "vault": {"openbao", "provision-vault", "vault-broker"},
    "database": {"database", "provision-database", "gateway"},
    "exchange": {"exchange", "sync-worker"},
}


def environment(service: str, directory: Path) -> dict[str, str]:
    """Return the variables of a container, its files in a directory of the test."""
    volumes(directory)
    root = mounted(service, directory)
    stated = {name: default(text) for name, text in SERVICES[service]["environment"].items()}
    return of_image(service) | {name: rooted(text, root) for name, text in stated.items()}


def of_image(part: str) -> dict[str, str]:
    """Return the variables that an image of a service sets."""
    stages = dict(re.findall(r"^FROM service AS (\S+)\nENV (.+)$", DOCKERFILE, re.MULTILINE))
    return {"LISTEN_HOST": "0.0.0.0"} | dict(each.split("=") for each in stages[part].split())  # noqa: S104


def manifest(kind: str, *place: str) -> dict[str, object]:
    """Return the container of a manifest."""
    found = yaml.load(MANIFESTS.joinpath(*place).read_text(), yaml.CSafeLoader)
    assert found["kind"] == kind
    container: dict[str, object] = found["spec"]["template"]["spec"]["containers"][0]
    return container


@pytest.mark.parametrize("service", LOAD)
def test_a_service_starts_with_its_part_of_the_file(service: str, tmp_path: Path) -> None:
    """Its settings module reads every variable and file, and listens to others with TLS to the bus."""
    loaded = LOAD[service](environment(service, tmp_path))
    settings = loaded.general if service == "sync-worker" else loaded

    assert settings.running.nats_tls is not None
    assert not ip_address(settings.running.operations.host).is_loopback


@pytest.mark.parametrize("service", LOAD)
def test_each_variable_is_read_and_none_is_there_for_nothing(service: str, tmp_path: Path) -> None:
    """A misspelt or forgotten variable fails here."""
    told = environment(service, tmp_path)

    assert unread(service, told) == set()
    assert unneeded(service, told) == set()


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_is_understood(name: str, tmp_path: Path) -> None:
    """Each option exists, and each file that it names is there."""
    python, module_option, module, *line = SERVICES[name]["command"]
    volumes(tmp_path)
    root = mounted(name, tmp_path)

    options = parsed(module, [rooted(each, root) for each in line])

    assert [python, module_option] == ["python", "-m"]
    for option, value in vars(options).items():
        if option.endswith("_file") and value:
            assert os.access(value, os.R_OK), option


def test_only_the_api_is_published_and_to_this_machine_alone() -> None:
    """The port is that of the image and the settings; no other container has one."""
    published = {name: each["ports"] for name, each in SERVICES.items() if "ports" in each}
    port = of_image("gateway")["PORT"]

    assert {name: [*map(default, ports)] for name, ports in published.items()} == {
        "gateway": [f"127.0.0.1:{port}:{port}"]
    }


def test_images_are_those_of_the_dockerfile_and_of_the_manifests() -> None:
    """Each part is built from its stage; NATS, OpenBao and PostgreSQL have the versions of the manifests."""
    pinned = yaml.safe_load(
        (MANIFESTS / "overlays" / "single-node" / "images" / "kustomization.yaml").read_text()
    )["images"]
    tags = {each["name"]: each["newTag"] for each in pinned}
    images = {name: default(each["image"]) for name, each in SERVICES.items()}

    for name in SERVICES.keys() - SERVERS:
        part = SERVICES[name]["build"]["args"]["SERVICE"]
        assert images[name] == f"butler-{part}:latest"
        assert re.search(rf"^FROM \S+ AS {part}$", DOCKERFILE, re.MULTILINE)
    for name in SERVERS:
        repository, _, tag = images[name].partition(":")
        assert tag == tags[Path(repository).name]


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_confined(name: str) -> None:
    """It runs as 10001, read-only and without rights; root makes the files, without a network."""
    container = SERVICES[name]

    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert not container.keys() & {"privileged", "cap_add", "devices", "pid", "ipc"}
    if name == "files":
        assert (container["user"], container["network_mode"]) == ("0:10001", "none")
    else:
        assert container["user"] == "10001:10001"
    assert "keys" not in {each["source"] for each in container["volumes"]} or name == "files"


@pytest.mark.parametrize("service", LOAD)
def test_a_service_has_the_memory_of_its_manifest(service: str) -> None:
    """And mounts its own volume alone, which it can not change."""
    limits = manifest("Deployment", "base", service, "deployment.yaml")["resources"]
    assert isinstance(limits, dict)
    mounts = SERVICES[service]["volumes"]

    assert SERVICES[service]["mem_limit"] == limits["limits"]["memory"].replace("Mi", "m")
    assert [(each["source"], each["read_only"]) for each in mounts] == [(service, True)]


def test_networks_join_only_what_belongs_together() -> None:
    """Only the broker reaches the vault, only the gateway the database, only the worker the exchange."""
    members = {
        network: {name for name, each in SERVICES.items() if network in each.get("networks", ())}
        for network in SYSTEM["networks"]
    }
    outside = {
        name: options for name, options in composed(REAL)["networks"].items() if not options.get("internal")
    }

    assert members == NETWORKS
    assert outside.keys() == {"api", "exchange"}
    assert outside["api"]["driver_opts"] == {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    assert SYSTEM["networks"]["exchange"] == {"internal": True}


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_starts_after_what_it_needs(name: str) -> None:
    """It waits for the end of a command, and for the health of a service that says it.

    The vault is healthy only after its provisioning.
    """
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        if needed in COMMANDS:
            wanted = "service_completed_successfully"
        else:
            wanted = "service_started" if name == "provision-vault" else "service_healthy"
        assert how == {"condition": wanted}
    assert name == "files" or "files" in needs(name)
    assert name not in LOAD or "provision-bus" in needs(name)


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - COMMANDS))
def test_what_runs_says_whether_it_is_healthy(name: str) -> None:
    """By a check in the file; a service waits for the health of each server on its networks."""
    assert SERVICES[name]["healthcheck"]
    reached = {each for each in SERVERS if {*SERVICES[each]["networks"]} & {*SERVICES[name]["networks"]}}
    if name in LOAD:
        assert reached <= SERVICES[name]["depends_on"].keys()


def needs(name: str) -> set[str]:
    """Return all that starts before a container."""
    direct = SERVICES[name].get("depends_on", {}).keys()
    return {*direct}.union(*map(needs, direct))


def test_the_simulated_exchange_is_the_one_of_the_manifests() -> None:
    """The same origins, and the same command; without its file the worker calls the real exchanges."""
    demo = manifest("Deployment", "components", "demo-exchange", "deployment.yaml")
    worker = manifest("Deployment", "components", "demo-exchange", "sync-worker.yaml")
    assert isinstance(demo["command"], list)
    assert isinstance(demo["args"], list)
    assert isinstance(worker["env"], list)
    told = composed(SIMULATED)["services"]
    real = composed(REAL)["services"]["sync-worker"]["environment"]

    assert told["exchange"]["command"] == demo["command"] + demo["args"]
    assert {**told["sync-worker"]["environment"], "EXCHANGE_CA_FILE": ""} == {
        each["name"]: each["value"] for each in worker["env"]
    } | {"EXCHANGE_CA_FILE": ""}
    assert not [name for name in real if name.startswith("EXCHANGE_")]


def test_no_secret_stands_in_the_files() -> None:
    """Variables name files; what is secret in them is made at the first start."""
    for file in (REAL, SIMULATED):
        for each in composed(file)["services"].values():
            for name, text in each.get("environment", {}).items():
                assert not re.search("PASSWORD|SECRET|KEY|TOKEN|NKEY", name) or name.endswith("_FILE"), text


def test_repeating_the_command_for_files_changes_none(tmp_path: Path) -> None:
    """A container that was started again has the keys of the one before."""
    volumes(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    modes = {path: path.stat().st_mode & 0o777 for path in before if path.parent.parent == tmp_path}
    volumes(tmp_path)

    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    own = {path: mode for path, mode in modes.items() if path.parent.name in ("nats", "database", "openbao")}
    assert {*own.values()} == {0o440, 0o550}

"""Manifests and programs agree: a pod starts with its variables, arguments and files, and has no other."""

import os
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from deploy.local.postgres import SETTINGS
from deploy.vault.engines import BROKER
from deploy.vault.provision import AUDIENCE
from tests.deploy.loading import LOAD, parsed, rooted, unneeded, unread
from tests.kubernetes.manifests import Workload, environment, every, of_kind, workload
from tests.kubernetes.providing import contents, files

# For documentation (RFC 5737): no address of a cluster is in there.
NO_PROXY = ip_network("192.0.2.0/24")


def told(overlay: str, pod: Workload, directory: Path) -> dict[str, str]:
    """Return the variables of a pod, with its files in a directory of the test."""
    existing = contents(overlay)
    for place, content in files(pod, existing).items():
        path = directory / place.removeprefix("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    variables = {}
    for each in pod.container["env"]:
        reference = each.get("valueFrom", {}).get("configMapKeyRef")
        variables[each["name"]] = (
            existing["ConfigMap", reference["name"]][reference["key"]].decode()
            if reference
            else rooted(each["value"], directory)
        )
    return variables


@every()
@pytest.mark.parametrize("service", LOAD)
def test_a_service_starts_with_its_manifest(overlay: str, service: str, tmp_path: Path) -> None:
    """Its settings module reads every required variable and file, and listens where the manifest says."""
    pod = workload(overlay, service)
    loaded = LOAD[service](told(overlay, pod, tmp_path))
    settings = loaded.general if service == "sync-worker" else loaded
    ports = {each["name"]: each["containerPort"] for each in pod.container["ports"]}

    assert settings.running.nats_tls is not None
    assert not ip_address(settings.running.operations.host).is_loopback
    assert settings.running.operations.port == ports["operations"]
    assert service != "gateway" or settings.address.port == ports["api"]


@every()
def test_the_gateway_trusts_no_network_of_pods(overlay: str, tmp_path: Path) -> None:
    """Until the operator names the proxy's own addresses, the gateway believes no X-Forwarded-For."""
    settings = LOAD["gateway"](told(overlay, workload(overlay, "gateway"), tmp_path))

    assert settings.trusted_proxies
    assert all(network.subnet_of(NO_PROXY) for network in settings.trusted_proxies)


@every()
@pytest.mark.parametrize("service", LOAD)
def test_each_variable_of_a_manifest_is_read(overlay: str, service: str) -> None:
    """A misspelt or forgotten variable fails here."""
    assert unread(service, {each["name"] for each in workload(overlay, service).container["env"]}) == set()


@every()
@pytest.mark.parametrize("service", LOAD)
def test_no_variable_is_there_for_nothing(overlay: str, service: str, tmp_path: Path) -> None:
    """Without a variable that has no default the service does not start."""
    assert unneeded(service, told(overlay, workload(overlay, service), tmp_path)) == set()


@every()
def test_the_vault_admits_the_pod_of_the_broker(overlay: str) -> None:
    """Service account, namespace and audience are those of the role."""
    pod = workload(overlay, "vault-broker")
    sources = next(each["projected"]["sources"] for each in pod.spec["volumes"] if "projected" in each)
    (token,) = (each["serviceAccountToken"] for each in sources if "serviceAccountToken" in each)

    assert (pod.spec["serviceAccountName"], token["audience"]) == (BROKER, AUDIENCE)


@every()
def test_only_the_vaults_job_has_its_namespace_from_the_pod(overlay: str) -> None:
    """The role is bound to the namespace in which the pods are."""
    container = workload(overlay, "provision-vault").container

    assert "--kubernetes-namespace=$(POD_NAMESPACE)" in container["args"]
    (variable,) = container["env"]
    assert variable["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.namespace"


@pytest.mark.parametrize("job", ["provision-bus", "provision-database", "provision-vault"])
@every()
def test_a_job_is_understood_by_its_command(overlay: str, job: str, tmp_path: Path) -> None:
    """Each option exists, and each file that it names is mounted."""
    pod = workload(overlay, job)
    line = [rooted(each, tmp_path) for each in pod.container["args"]]
    for place, content in files(pod, contents(overlay)).items():
        path = tmp_path / place.removeprefix("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    assert pod.container["command"][:2] == ["python", "-m"]

    options = parsed(pod.container["command"][2], line)

    for name, value in vars(options).items():
        if name.endswith("_file") and value:
            assert os.access(value, os.R_OK), name


@every()
def test_the_database_has_the_same_name_for_all(overlay: str) -> None:
    """The gateway and the Job reach the primary, with the roles of the Secrets."""
    urls = [environment(workload(overlay, "gateway").container)["DATABASE_URL"]]
    urls += [each.partition("=")[2] for each in workload(overlay, "provision-database").container["args"][:1]]

    assert [url.partition("?")[0] for url in urls] == [
        "postgresql://butler_gateway@database-rw:5432/butler",
        "postgresql://butler_owner@database-rw:5432/butler",
    ]
    assert len({url.partition("?")[2] for url in urls}) == 1
    for cluster in of_kind(overlay, "Cluster"):
        assert cluster["metadata"]["name"] == "database"
        assert cluster["spec"]["bootstrap"]["initdb"]["owner"] == "butler_owner"


def test_the_database_has_the_settings_of_the_local_one() -> None:
    """A sync writes as much to its log in a cluster as in the benchmarks."""
    (cluster,) = of_kind("production", "Cluster")
    told = workload("single-node", "database").container["args"]

    assert cluster["spec"]["postgresql"]["parameters"] == SETTINGS
    assert {f"{name}={value}" for name, value in SETTINGS.items()} <= set(told)

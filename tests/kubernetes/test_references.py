"""Every object that another one names exists: Secrets, ConfigMaps, keys, accounts, classes, pods, ports."""

import pytest

from deploy.simulator import simulated
from tests.kubernetes.manifests import Object, Workload, every, names, objects, of_kind, workload, workloads
from tests.kubernetes.providing import contents, files, written

# The user makes it with the bucket.
OF_THE_BUCKET = "database-backup"
OF_A_CLUSTER = {"Namespace", "PriorityClass", "ClusterRoleBinding"}
IMAGES = {
    "gateway": "butler-gateway",
    "sync-worker": "butler-sync-worker",
    "vault-broker": "butler-vault-broker",
    "provision-bus": "butler-provisioning",
    "provision-database": "butler-provisioning",
    "provision-vault": "butler-provisioning",
    "exchange": "butler-exchange",
}


def selected(overlay: str, labels: dict[str, str]) -> list[Workload]:
    """Return whose pods have these labels."""
    return [each for each in workloads(overlay) if labels.items() <= each.labels.items()]


@every()
def test_every_file_and_variable_of_a_pod_has_a_source(overlay: str) -> None:
    """Each key is in the overlay, or one command makes it, or a Certificate does."""
    existing = contents(overlay)
    for pod in workloads(overlay):
        mounted = files(pod, existing)
        assert all(mounted.values()) or pod.name == "nats", pod.name
        for variable in pod.container.get("env", ()):
            reference = variable.get("valueFrom", {}).get("configMapKeyRef")
            assert reference is None or reference["key"] in existing["ConfigMap", reference["name"]]
            assert "secretKeyRef" not in variable.get("valueFrom", {}), "a secret is a file"


@every()
def test_a_pod_has_only_files_that_it_reads(overlay: str) -> None:
    """No key lies where a program does not need it: a setting, an argument or a configuration names it."""
    existing = contents(overlay)
    for pod in workloads(overlay):
        mounted = files(pod, existing)
        told = [*pod.container.get("command", ()), *pod.container.get("args", ())]
        told += [each.get("value", "") for each in pod.container.get("env", ())]
        told += [content.decode() for path, content in mounted.items() if path.startswith("/etc/")]
        told += [content.decode() for path, content in mounted.items() if path.endswith(".sh")]
        probed = [path for path in mounted if path.startswith("/run/secrets/butler/")]
        unread = {path for path in probed if not any(path in text for text in told)}
        # One Secret of a server has its authority, too; the database shows its own.
        assert {path.rpartition("/")[2] for path in unread} <= {"ca.crt"}, pod.name


@every()
def test_every_secret_of_the_command_is_mounted(overlay: str) -> None:
    """A Secret that no pod mounts would only be one more place to steal it from."""
    mounted = set()
    for pod in workloads(overlay):
        for volume in pod.spec.get("volumes", ()):
            for source in volume.get("projected", {}).get("sources", [volume]):
                mounted |= {source[each].get("name") for each in ("secret", "configMap") if each in source}
    made = {each["metadata"]["name"] for each in written()} - {"vault-fingerprints"}

    # The operator CloudNativePG makes its own superuser.
    assert made - mounted == ({"database-superuser"} if overlay == "production" else set())


def test_no_object_of_the_command_has_a_place_for_a_credential_of_an_exchange() -> None:
    """It makes nkeys, passwords of the database, two keys of the gateway, the seal and the vault's token."""
    made = {(each["metadata"]["name"], key) for each in written() for key in each["data"]}

    assert made == {
        ("gateway", "nats.nk"),
        ("gateway", "jwt.pem"),
        ("gateway", "grant.pem"),
        ("sync-worker", "nats.nk"),
        ("vault-broker", "nats.nk"),
        ("vault-broker", "grant-public.pem"),
        ("provision-bus", "admin.nk"),
        *(
            (name, key)
            for name in ("database-owner", "database-superuser", "gateway-database")
            for key in ("username", "password")
        ),
        ("openbao-seal", "seal.key"),
        ("openbao-seal", "seal-configuration.json"),
        ("provision-vault", "token"),
        ("nats-accounts", "accounts.conf"),
        ("nats-accounts", "subscribers.json"),
        ("vault-fingerprints", "WRAPPING_KEY_FINGERPRINT"),
        ("vault-fingerprints", "SEALING_KEY_FINGERPRINT"),
    }


@every()
def test_every_service_leads_to_a_port_of_a_pod(overlay: str) -> None:
    """Its selector selects one workload, and its target is a port with a name."""
    for service in of_kind(overlay, "Service"):
        (pod,) = selected(overlay, service["spec"]["selector"])
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in pod.ports, service["metadata"]["name"]


@every()
def test_every_name_of_a_pod_exists(overlay: str) -> None:
    """Its account, its headless service, the ports of its probes, and its mounts."""
    for pod in workloads(overlay):
        assert pod.spec["serviceAccountName"] in names(overlay, "ServiceAccount")
        volumes = {each["name"] for each in pod.spec.get("volumes", ())} | {"data"}
        mounted = {each["name"] for container in pod.containers for each in container["volumeMounts"]}
        assert mounted - {"data"} == volumes - {"data"}, pod.name
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            asked: Object = pod.container.get(probe, {})
            target = {**asked.get("httpGet", {}), **asked.get("tcpSocket", {})}.get("port")
            assert target is None or target in pod.ports, (pod.name, probe)
    for each in of_kind(overlay, "StatefulSet"):
        assert each["spec"]["serviceName"] in names(overlay, "Service")


@every()
def test_what_points_to_an_object_finds_it(overlay: str) -> None:
    """Budgets, autoscalers, routes, monitors, issuers, role bindings, backups."""
    assert {
        each["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"]
        for each in of_kind(overlay, "PodDisruptionBudget")
    } <= {each.name for each in workloads(overlay)}
    for each in of_kind(overlay, "HorizontalPodAutoscaler", "ScaledObject"):
        assert each["spec"]["scaleTargetRef"]["name"] in names(overlay, "Deployment")
    for each in of_kind(overlay, "HTTPRoute"):
        listeners = {
            (gateway["metadata"]["name"], listener["name"])
            for gateway in of_kind(overlay, "Gateway")
            for listener in gateway["spec"]["listeners"]
            if listener["protocol"] == "HTTPS"
        }
        assert {(told["name"], told["sectionName"]) for told in each["spec"]["parentRefs"]} <= listeners
        backends = {(to["name"], to["port"]) for rule in each["spec"]["rules"] for to in rule["backendRefs"]}
        assert backends == {("gateway", 80)}
    for each in of_kind(overlay, "Certificate"):
        assert each["spec"]["issuerRef"]["name"] in names(overlay, "Issuer")
    for each in of_kind(overlay, "ClusterRoleBinding"):
        assert {subject["name"] for subject in each["subjects"]} <= names(overlay, "ServiceAccount")
        assert {subject["namespace"] for subject in each["subjects"]} == names(overlay, "Namespace")
    for each in of_kind(overlay, "ScheduledBackup"):
        assert each["spec"]["cluster"]["name"] in names(overlay, "Cluster")
    for each in of_kind(overlay, "Cluster"):
        (plugin,) = each["spec"]["plugins"]
        assert plugin["parameters"]["barmanObjectName"] in names(overlay, "ObjectStore")
        assert ("Secret", each["spec"]["bootstrap"]["initdb"]["secret"]["name"]) in contents(overlay)
    for each in of_kind(overlay, "ObjectStore"):
        keys = each["spec"]["configuration"]["s3Credentials"].values()
        assert {key["name"] for key in keys} == {OF_THE_BUCKET}


@every()
def test_the_entry_leads_to_the_gateway_and_its_certificate_is_requested(overlay: str) -> None:
    """A Certificate makes the Secret of the entry, or an annotation asks cert-manager for one."""
    existing = {secret for kind, secret in contents(overlay) if kind == "Secret"}
    services = {each["metadata"]["name"]: each["spec"]["ports"] for each in of_kind(overlay, "Service")}
    entries = of_kind(overlay, "Ingress", "Gateway")
    assert len(entries) == 1
    for each in entries:
        for service in backends(each):
            assert service["port"]["name"] in {port["name"] for port in services[service["name"]]}
        requested = "cert-manager.io/cluster-issuer" in each["metadata"].get("annotations", {})
        assert certificates(each)
        assert requested or certificates(each) <= existing


def backends(entry: Object) -> list[Object]:
    """Return the services of an Ingress."""
    return [
        path["backend"]["service"]
        for rule in entry["spec"].get("rules", ())
        for path in rule["http"]["paths"]
    ]


def certificates(entry: Object) -> set[str]:
    """Return the Secrets with which an Ingress or a Gateway ends TLS."""
    listeners = [each.get("tls", {}) for each in entry["spec"].get("listeners", ())]
    references = [told for tls in listeners for told in tls.get("certificateRefs", ())]
    return {told["name"] for told in references} | {
        told["secretName"] for told in entry["spec"].get("tls", ())
    }


@every()
def test_everything_is_in_the_namespace(overlay: str) -> None:
    """Objects that a cluster has once have no namespace; all others have ours."""
    for each in objects(overlay):
        assert (each["metadata"].get("namespace") == "butler") != (each["kind"] in OF_A_CLUSTER), each["kind"]


@every()
def test_a_certificate_names_the_servers_that_show_it(overlay: str) -> None:
    """Clients verify the name by which they call."""
    shown = {
        each["spec"]["secretName"]: each["spec"]["dnsNames"]
        for each in of_kind(overlay, "Certificate")
        if "dnsNames" in each["spec"]
    }
    for name in names(overlay, "Service"):
        owner = {"nats-servers": "nats", "openbao-servers": "openbao", "database-rw": "database"}.get(
            name, name
        )
        if f"{owner}-tls" in shown:
            assert {name, f"*.{name}", f"{owner}-0.{name}"} & {*shown[f"{owner}-tls"]}, name


@every()
def test_our_pods_run_our_images(overlay: str) -> None:
    """Each part has the image of its name, in the same version everywhere."""
    ours = {each.name: each.container["image"] for each in workloads(overlay) if each.name in IMAGES}
    beside = {each.reloader["image"] for each in workloads(overlay) if each.reloader}

    assert {name: image.rpartition(":")[0].rpartition("/")[2] for name, image in ours.items()} == {
        name: image for name, image in IMAGES.items() if name in ours
    }
    assert len({image.rpartition(":")[2] for image in ours.values()}) == 1
    repositories = {each.rpartition(":")[0] for each in beside}  # their tag may stay
    assert repositories == {ours["provision-bus"].rpartition(":")[0]}


@pytest.mark.parametrize("overlay", ["demo"])
def test_the_demonstration_finds_each_region_of_the_simulated_exchange(overlay: str) -> None:
    """The simulator gives the origins the ports in this order."""
    exchange, *_ = simulated([], strict=False)
    origins = [(region, host) for region in exchange.regions for host in exchange.hosts]
    pod = workload(overlay, "exchange")
    first = next(int(each.rpartition("=")[2]) for each in pod.container["args"] if each.startswith("--port="))
    told = {each["name"]: each.get("value") for each in workload(overlay, "sync-worker").container["env"]}

    for number, (region, _) in enumerate(origins):
        assert pod.ports[f"okx-{region}"] == first + number
        assert told[f"EXCHANGE_OKX_{region.upper()}_URL"] == f"https://exchange:{first + number}"

"""Every pod has no more rights than it needs, ends in time, and does not block a drain."""

import re
from typing import Any

import pytest

from chassis.bus.connection import CLOSE_SECONDS, SHUTDOWN_GRACE
from chassis.serve import FINISH_SECONDS
from contracts.wire.topology import ACK_WAIT, CONSUMERS
from gateway.http.shutdown import GRACE_SECONDS
from tests.kubernetes.manifests import Workload, every, names, objects, of_kind, workload, workloads

SERVICES = ("gateway", "sync-worker", "vault-broker")
# Time for the process to start stopping and to end.
SPARE_SECONDS = 5
SIZES = {"Mi": 1024**2, "Gi": 1024**3}
TOKEN = ("vault", 600)


def size(text: str) -> int:
    """Return the bytes of a quantity."""
    found = re.fullmatch(r"(\d+)(Mi|Gi)", text)
    assert found, text
    return int(found[1]) * SIZES[found[2]]


def tokens(pod: Workload) -> list[dict[str, Any]]:
    """Return the projected tokens of a pod."""
    volumes = (each.get("projected", {}).get("sources", ()) for each in pod.spec.get("volumes", ()))
    return [
        source["serviceAccountToken"]
        for sources in volumes
        for source in sources
        if len(source) == 1 and "serviceAccountToken" in source
    ]


@every()
def test_the_namespace_admits_restricted_pods_only(overlay: str) -> None:
    """Pod Security is enforced, in the words of a pinned version."""
    (namespace,) = of_kind(overlay, "Namespace")
    labels = namespace["metadata"]["labels"]

    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
        assert re.fullmatch(r"v1\.\d+", labels[f"pod-security.kubernetes.io/{mode}-version"])


@every()
def test_every_pod_is_restricted(overlay: str) -> None:
    """A container runs without root, capabilities, a writable root file system and access to the host."""
    for pod in workloads(overlay):
        security = pod.spec["securityContext"]
        assert security["runAsNonRoot"] is True, pod.name
        assert (security["runAsUser"], security["runAsGroup"]) == (10001, 10001), pod.name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, pod.name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.spec.keys(), pod.name
        assert not [each for each in pod.spec.get("volumes", ()) if "hostPath" in each], pod.name
        for container in pod.containers:
            assert container["securityContext"] == {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, pod.name


@every()
def test_no_pod_has_a_token_but_the_broker_and_the_vault(overlay: str) -> None:
    """The broker's opens the vault only, and for ten minutes; with its own OpenBao reviews the broker's."""
    accounts = {each["metadata"]["name"]: each for each in of_kind(overlay, "ServiceAccount")}
    for pod in workloads(overlay):
        assert pod.spec["automountServiceAccountToken"] is False
        assert accounts[pod.spec["serviceAccountName"]]["automountServiceAccountToken"] is False
        expected = {"vault-broker": [TOKEN], "openbao": [(None, 600)]}.get(pod.name, [])
        assert [(each.get("audience"), each["expirationSeconds"]) for each in tokens(pod)] == expected
    assert {workload(overlay, name).spec["serviceAccountName"] for name in SERVICES} == {*SERVICES}


@every()
def test_memory_is_bounded_by_what_is_requested(overlay: str) -> None:
    """So no pod is killed because another one uses the memory that it was promised; no CPU is taken away."""
    for pod in workloads(overlay):
        for container in pod.containers:
            requests, limits = container["resources"]["requests"], container["resources"]["limits"]
            assert size(limits["memory"]) == size(requests["memory"]), pod.name
            assert limits.keys() == {"memory"}, pod.name
            assert requests["cpu"], pod.name
        for volume in pod.spec.get("volumes", ()):
            assert "emptyDir" not in volume or volume["emptyDir"].get("sizeLimit"), pod.name


@every()
def test_a_drain_always_goes_on(overlay: str) -> None:
    """Each budget lets one pod go, also one that is not ready, and each pod that stays has a budget."""
    budgets = of_kind(overlay, "PodDisruptionBudget")
    for budget in budgets:
        assert budget["spec"]["maxUnavailable"] == 1
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    covered = {each["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] for each in budgets}

    assert covered == {each.name for each in workloads(overlay, "Deployment", "StatefulSet")} - {"exchange"}


@every()
@pytest.mark.parametrize("service", SERVICES)
def test_a_roll_out_leaves_the_old_pod_until_the_new_one_works(overlay: str, service: str) -> None:
    """The new one is ready for seconds before the old one ends."""
    (deployment,) = (each for each in of_kind(overlay, "Deployment") if each["metadata"]["name"] == service)
    spec = deployment["spec"]

    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert spec["minReadySeconds"] >= 5
    assert spec["template"]["spec"]["topologySpreadConstraints"]


@every()
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_time_to_end(overlay: str, service: str) -> None:
    """The grace covers preStop, requests or messages in flight, and the end of the connection to the bus."""
    pod = workload(overlay, service)
    before = pod.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    handlers = GRACE_SECONDS if service == "gateway" else SHUTDOWN_GRACE
    needed = before + max(FINISH_SECONDS, handlers) + CLOSE_SECONDS + SPARE_SECONDS

    assert pod.spec["terminationGracePeriodSeconds"] >= needed
    assert (before > 0) == (service == "gateway")


@every()
@pytest.mark.parametrize("service", SERVICES)
def test_liveness_asks_for_nothing_outside_of_the_pod(overlay: str, service: str) -> None:
    """A restart cures no vault and no bus; readiness asks for these."""
    container = workload(overlay, service).container
    paths = {
        name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")
    }

    assert paths == {"startup": "/healthz", "readiness": "/readyz", "liveness": "/healthz"}
    assert container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"] >= 60
    assert container["readinessProbe"]["timeoutSeconds"] > 2


@every()
def test_nats_is_watched_as_its_chart_has_it(overlay: str) -> None:
    """A server whose stream keeps a write error stays ready for its other streams, and is not restarted."""
    pod = workload(overlay, "nats")
    container = pod.container

    assert container["readinessProbe"]["httpGet"]["path"] == "/healthz?js-server-only=true"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz?js-enabled-only=true"
    assert container["lifecycle"]["preStop"]["exec"]["command"][1].startswith("-sl=ldm=")
    assert pod.spec["terminationGracePeriodSeconds"] == 60


@every()
def test_what_holds_data_stays_and_stands_apart(overlay: str) -> None:
    """NATS, PostgreSQL and OpenBao have the priority, and never share a machine with their like."""
    (priority,) = of_kind(overlay, "PriorityClass")
    for pod in workloads(overlay, "StatefulSet"):
        assert pod.spec["priorityClassName"] == priority["metadata"]["name"]
        if pod.name != "database":  # a single one
            (rule,) = pod.spec["affinity"]["podAntiAffinity"][
                "requiredDuringSchedulingIgnoredDuringExecution"
            ]
            assert rule["topologyKey"] == "kubernetes.io/hostname"
            assert rule["labelSelector"]["matchLabels"].items() <= pod.labels.items()
    for pod in workloads(overlay, "Deployment", "Job"):
        assert "priorityClassName" not in pod.spec


@every()
def test_a_node_without_a_zone_takes_every_pod(overlay: str) -> None:
    """DoNotSchedule would exclude the nodes of k3s, kind and bare metal, which lack the label of a zone."""
    specs = [(each.name, each.spec) for each in workloads(overlay)]
    specs += [(each["metadata"]["name"], each["spec"]) for each in of_kind(overlay, "Cluster")]
    by_zone = {
        name: rule["whenUnsatisfiable"]
        for name, spec in specs
        for rule in spec.get("topologySpreadConstraints", ())
        if rule["topologyKey"] == "topology.kubernetes.io/zone"
    }

    assert {*by_zone} >= {"nats", "openbao", *names(overlay, "Cluster")}
    assert {*by_zone.values()} == {"ScheduleAnyway"}


def test_the_autoscalers_keep_two_and_go_down_slower_than_a_redelivery() -> None:
    """They never scale to zero, and own the numbers of replicas."""
    (gateway,) = of_kind("production", "HorizontalPodAutoscaler")
    (worker,) = of_kind("production", "ScaledObject")
    behaviour = worker["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    slowest = max(ACK_WAIT, *(each.ack_wait for each in CONSUMERS))

    assert gateway["spec"]["minReplicas"] == worker["spec"]["minReplicaCount"] == 2
    for scale_down in (gateway["spec"]["behavior"]["scaleDown"], behaviour["scaleDown"]):
        assert scale_down["stabilizationWindowSeconds"] > slowest
    for each in of_kind("production", "Deployment"):
        owned = each["metadata"]["name"] in {"gateway", "sync-worker"}
        assert ("replicas" in each["spec"]) != owned


def test_production_has_three_of_what_holds_data() -> None:
    """Each on a node of its own; NATS, PostgreSQL and OpenBao."""
    by_name = {
        each["metadata"]["name"]: each["spec"]
        for each in objects("production")
        if "spec" in each and each["kind"] in {"StatefulSet", "Cluster"}
    }

    assert {name: spec.get("replicas", spec.get("instances")) for name, spec in by_name.items()} == {
        "nats": 3,
        "openbao": 3,
        "database": 3,
    }
    assert by_name["database"]["postgresql"]["synchronous"] == {
        "method": "any",
        "number": 1,
        "failoverQuorum": True,
    }
    assert names("production", "StatefulSet") == {"nats", "openbao"}

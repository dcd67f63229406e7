"""The full matrix of pods and ports: two engines evaluate the policies, and both find the architecture."""

from functools import cache
from itertools import permutations
from pathlib import Path

import pytest
import yaml

from tests.kubernetes import second_engine
from tests.kubernetes.manifests import MANIFESTS, Object, every, of_kind, workloads
from tests.kubernetes.network import ADDRESSES, NAMESPACE, Place, pods, reaches

INTERNET = ("internet", "internet-6")
ALL_ADDRESSES = tuple(each.name for each in ADDRESSES)
Flow = tuple[str, str, str, int]

# Each flow of the architecture: from, to, ports. `*` is every pod of ours.
COMMON = [
    ("*", "kube-system", (("UDP", 53), ("TCP", 53))),
    ("gateway", "nats", (("TCP", 4222),)),
    ("sync-worker", "nats", (("TCP", 4222),)),
    ("vault-broker", "nats", (("TCP", 4222),)),
    ("provision-bus", "nats", (("TCP", 4222),)),
    ("subscribers", "nats", (("TCP", 4222),)),
    ("gateway", "database", (("TCP", 5432),)),
    ("provision-database", "database", (("TCP", 5432),)),
    ("vault-broker", "openbao", (("TCP", 8200),)),
    ("provision-vault", "openbao", (("TCP", 8200),)),
    ("openbao", "openbao", (("TCP", 8200), ("TCP", 8201))),
    # The API server reviews the broker's token.
    *(("openbao", address, (("TCP", 443), ("TCP", 6443))) for address in ALL_ADDRESSES),
    ("entry", "gateway", (("TCP", 3000),)),
    # cert-manager's answer to an HTTP-01 challenge.
    ("entry", "acme-solver", (("TCP", 8089),)),
]
EXCHANGES = [("sync-worker", address, (("TCP", 443),)) for address in (*INTERNET, "vault")]
EXPECTED = {
    "single-node": [*COMMON, *EXCHANGES],
    "demo": [*COMMON, ("sync-worker", "exchange", tuple(("TCP", port) for port in range(8443, 8452)))],
    "production": [
        *COMMON,
        *EXCHANGES,
        ("nats", "nats", (("TCP", 6222),)),
        ("monitoring", "gateway", (("TCP", 3010),)),
        ("monitoring", "sync-worker", (("TCP", 3001),)),
        ("monitoring", "vault-broker", (("TCP", 3002),)),
        ("monitoring", "nats", (("TCP", 3003),)),
        ("monitoring", "openbao", (("TCP", 3003),)),
        ("monitoring", "database", (("TCP", 9187),)),
        ("database", "database", (("TCP", 5432), ("TCP", 8000))),
        ("cnpg-system", "database", (("TCP", 5432), ("TCP", 8000))),
        # The API server, and the bucket of the backups.
        *(("database", address, (("TCP", 443), ("TCP", 6443))) for address in ALL_ADDRESSES),
    ],
}


def owner(name: str) -> str:
    """Return the workload of a pod, or the name of an address."""
    return name.rpartition("-")[0] if name not in ALL_ADDRESSES else name


@cache
def ports(overlay: str) -> tuple[int, ...]:
    """Return every port of a pod, and those that a program might try."""
    own = {port for each in workloads(overlay) for port in each.ports.values()}
    return tuple(sorted(own | {22, 53, 80, 443, 4318, 5432, 6443, 8000, 8089, 8222, 9187, 10250}))


def matrix(policies: list[Object], overlay: str) -> frozenset[Flow]:
    """Return all flows to or from a pod of ours, by our own evaluator."""
    places: list[Place] = [*pods(overlay), *ADDRESSES]
    ours = own(overlay)
    return frozenset(
        (source.name, target.name, protocol, port)
        for source, target in permutations(places, 2)
        if {source.name, target.name} & ours
        for protocol in ("TCP", "UDP")
        for port in ports(overlay)
        if reaches(policies, source, target, protocol, port)
    )


def second(policies: list[Object], overlay: str, directory: Path) -> set[Flow]:
    """Return the same by network-config-analyzer."""
    found = second_engine.flows(policies, pods(overlay), ports(overlay), directory)
    return {flow for flow in found if own(overlay) & {*flow[:2]}}


@cache
def first(overlay: str) -> frozenset[Flow]:
    """Return the flows of an overlay."""
    return matrix(of_kind(overlay, "NetworkPolicy"), overlay)


def own(overlay: str) -> set[str]:
    """Return the names of our pods."""
    return {pod.name for pod in pods(overlay) if pod.namespace == NAMESPACE}


def by_workload(found: frozenset[Flow]) -> set[Flow]:
    """Return the flows between workloads; fails where two pods of one have different ones."""
    return {(owner(source), owner(target), protocol, port) for source, target, protocol, port in found}


@every()
def test_exactly_the_flows_of_the_architecture_are_open(overlay: str) -> None:
    """Each is named from both ends, and no other pod and port is reached: neither by ours nor by others."""
    ours = {owner(name) for name in own(overlay)}
    expected = {
        (source, target, *port)
        for told, target, opened in EXPECTED[overlay]
        for source in (ours if told == "*" else {told})
        for port in opened
    }

    assert by_workload(first(overlay)) == expected


@every()
def test_two_engines_agree(overlay: str, tmp_path: Path) -> None:
    """network-config-analyzer finds the same matrix of pods and ports."""
    assert second(of_kind(overlay, "NetworkPolicy"), overlay, tmp_path) == first(overlay)


@every()
def test_of_the_services_each_reaches_only_its_own(overlay: str) -> None:
    """Only the gateway reaches PostgreSQL, only the broker the vault, only the worker the internet.

    Addresses of pods and nodes are private here: global ones are part of the internet for a policy.
    """
    found = by_workload(first(overlay))
    services = ("gateway", "sync-worker", "vault-broker")

    for target, allowed in (("database", {"gateway"}), ("openbao", {"vault-broker"})):
        assert {source for source, to, *_ in found if to == target and source in services} == allowed
    out = {(source, port) for source, to, _, port in found if to in ALL_ADDRESSES and source in services}
    assert out == (set() if overlay == "demo" else {("sync-worker", 443)})
    assert not {
        flow for flow in found if flow[1] in {"private", "private-6", "metadata"} and flow[0] in services
    }


def test_the_component_of_traces_opens_only_the_collector() -> None:
    """The three services, and no other pod, reach one port of its namespace."""
    path = MANIFESTS / "components" / "tracing" / "network-policy.yaml"
    policy = yaml.safe_load(path.read_text())
    policy["metadata"]["namespace"] = NAMESPACE
    found = by_workload(matrix([*of_kind("single-node", "NetworkPolicy"), policy], "single-node"))

    assert found - by_workload(first("single-node")) == {
        (service, "tracing", "TCP", 4318) for service in ("gateway", "sync-worker", "vault-broker")
    }


@every()
def test_the_default_is_to_deny(overlay: str) -> None:
    """Without the other policies no pod of ours sends or receives anything."""
    policies = [
        each for each in of_kind(overlay, "NetworkPolicy") if each["metadata"]["name"] == "default-deny"
    ]
    places: list[Place] = [*pods(overlay), *ADDRESSES]
    ours = [place for place in pods(overlay) if place.namespace == NAMESPACE]

    assert len(policies) == 1
    for pod in ours:
        for other in places:
            for port in ports(overlay):
                assert not reaches(policies, pod, other, "TCP", port)
                assert not reaches(policies, other, pod, "TCP", port)


@pytest.mark.parametrize("name", ["nats", "database", "gateway-to-database", "sync-worker", "dns"])
def test_both_engines_see_a_policy_that_is_missing(name: str, tmp_path: Path) -> None:
    """So that the agreement of the two shows something."""
    told = of_kind("production", "NetworkPolicy")
    policies = [each for each in told if each["metadata"]["name"] != name]
    found = matrix(policies, "production")

    assert second(policies, "production", tmp_path) == found
    assert found < first("production")

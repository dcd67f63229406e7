"""An evaluator of NetworkPolicies: which pod reaches which other pod or address, and on which port.

It knows the fields of networking.k8s.io/v1 that our policies use, and fails for others.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from tests.kubernetes.manifests import Object, of_kind, workloads

Labels = Mapping[str, str]

NAMESPACE = "butler"
# Namespaces of others, by name: their further labels, and those of their pod.
OTHERS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "kube-system": ({}, {"k8s-app": "kube-dns"}),
    "entry": ({"pocketbutler.io/entry": "true"}, {}),
    "monitoring": ({"pocketbutler.io/monitoring": "true"}, {}),
    "tracing": ({"pocketbutler.io/tracing": "true"}, {}),
    "subscribers": ({"pocketbutler.io/subscribers": "true"}, {}),
    "cnpg-system": ({}, {}),
    "elsewhere": ({}, {"app.kubernetes.io/name": "gateway"}),
}


@dataclass(frozen=True)
class Pod:
    """A pod: its namespace with labels, its own labels, and its named ports."""

    name: str
    namespace: str
    labels: Labels
    namespace_labels: Labels
    ports: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Address:
    """An address outside of the cluster."""

    name: str
    ip: str


Place = Pod | Address

ADDRESSES = (
    Address("internet", "93.184.216.34"),
    Address("internet-6", "2606:2800:220:1::1"),
    Address("private", "10.96.0.1"),
    Address("private-6", "fd00::1"),
    Address("metadata", "169.254.169.254"),
    Address("vault", "192.0.2.7"),
)


def pods(overlay: str) -> list[Pod]:
    """Return two pods of each workload, those of operators among them, and one of each other namespace."""
    own = {"kubernetes.io/metadata.name": NAMESPACE}
    found = [
        Pod(
            f"{each.name}-{number}",
            NAMESPACE,
            each.labels,
            own,
            each.ports,
        )
        for each in workloads(overlay)
        for number in range(2)
    ]
    for cluster in of_kind(overlay, "Cluster"):
        name = cluster["metadata"]["name"]
        found += [Pod(f"{name}-{number}", NAMESPACE, {"cnpg.io/cluster": name}, own) for number in range(2)]
    solver = {"acme.cert-manager.io/http01-solver": "true"}
    found += [Pod(f"acme-solver-{number}", NAMESPACE, solver, own) for number in range(2)]
    return found + [
        Pod(f"{name}-0", name, labels, {"kubernetes.io/metadata.name": name, **further})
        for name, (further, labels) in OTHERS.items()
    ]


def reaches(policies: Iterable[Object], source: Place, target: Place, protocol: str, port: int) -> bool:
    """Return whether both ends allow a connection."""
    policies = list(policies)
    return _leaves(policies, source, target, protocol, port) and _enters(
        policies, source, target, protocol, port
    )


def _leaves(policies: list[Object], source: Place, target: Place, protocol: str, port: int) -> bool:
    rules = _rules(policies, source, "Egress", "egress")
    return rules is None or any(
        _names(rule.get("to"), target) and _opens(rule.get("ports"), target, protocol, port) for rule in rules
    )


def _enters(policies: list[Object], source: Place, target: Place, protocol: str, port: int) -> bool:
    rules = _rules(policies, target, "Ingress", "ingress")
    return rules is None or any(
        _names(rule.get("from"), source) and _opens(rule.get("ports"), target, protocol, port)
        for rule in rules
    )


def _rules(policies: list[Object], place: Place, kind: str, key: str) -> list[Object] | None:
    """Return the rules of all policies that select a pod; None where none does, and all is allowed."""
    if isinstance(place, Address):
        return None
    chosen = [
        each["spec"]
        for each in policies
        if each["metadata"]["namespace"] == place.namespace
        and kind in each["spec"]["policyTypes"]
        and _selects(each["spec"]["podSelector"], place.labels)
    ]
    return [rule for spec in chosen for rule in spec.get(key, ())] if chosen else None


def _names(peers: list[Object] | None, place: Place) -> bool:
    return peers is None or any(_is(peer, place) for peer in peers)


def _is(peer: Object, place: Place) -> bool:
    assert peer.keys() <= {"podSelector", "namespaceSelector", "ipBlock"}
    if "ipBlock" in peer:
        return isinstance(place, Address) and _holds(peer["ipBlock"], place.ip)
    if isinstance(place, Address):
        return False
    if "namespaceSelector" in peer:
        inside = _selects(peer["namespaceSelector"], place.namespace_labels)
    else:
        inside = place.namespace == NAMESPACE
    return inside and _selects(peer.get("podSelector", {}), place.labels)


def _holds(block: Object, address: str) -> bool:
    ip = ip_address(address)
    return ip in ip_network(block["cidr"]) and not any(
        ip in ip_network(each) for each in block.get("except", ())
    )


def _selects(selector: Object, labels: Labels) -> bool:
    assert selector.keys() <= {"matchLabels", "matchExpressions"}
    expressions = selector.get("matchExpressions", ())
    assert all(each["operator"] == "In" for each in expressions)
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(each["key"]) in each["values"] for each in expressions
    )


def _opens(ports: list[Object] | None, target: Place, protocol: str, port: int) -> bool:
    return ports is None or any(_is_port(each, target, protocol, port) for each in ports)


def _is_port(told: Object, target: Place, protocol: str, port: int) -> bool:
    first: int | str = told["port"]
    if isinstance(first, str):
        return protocol == told["protocol"] and isinstance(target, Pod) and target.ports.get(first) == port
    last: int = told.get("endPort", first)
    return protocol == told["protocol"] and first <= port <= last

"""IBM's network-config-analyzer as a second evaluator of NetworkPolicies."""

import re
import subprocess
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path

from tests.kubernetes.manifests import TOOLS, Object, dumped, tool
from tests.kubernetes.network import ADDRESSES, NAMESPACE, OTHERS, Pod

LINE = re.compile(r"(?P<source>\S+) => (?P<target>\S+) : (?P<what>.+)")
PORTS = re.compile(r"protocols:(?P<protocols>[A-Z, ]+),dst_ports:(?P<ports>[\d,-]+)")
SECONDS = 60

Flow = tuple[str, str, str, int]


def flows(
    policies: Iterable[Object], pods: Iterable[Pod], ports: Iterable[int], directory: Path
) -> set[Flow]:
    """Return which pod or address reaches which, by name, protocol and port, for TCP and UDP."""
    _write(policies, pods, directory)
    told = directory / "connectivity.txt"
    command: list[str | Path] = [tool(TOOLS / "nca"), "--connectivity", directory / "policies.yaml"]
    command += ["-n", directory / "namespaces.yaml", "-p", directory / "pods.yaml", "--return_0"]
    command += ["--print_ipv6", "--output_format", "txt_no_fw_rules", "--file_out", told]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert told.exists(), done.stdout + done.stderr
    ports = [*ports]
    return {flow for line in told.read_text().splitlines() for flow in _read(line, ports)}


def _write(policies: Iterable[Object], pods: Iterable[Pod], directory: Path) -> None:
    spaces: list[Object] = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name, **labels}},
        }
        for name, (labels, _) in {**OTHERS, NAMESPACE: ({}, {})}.items()
    ]
    written: list[Object] = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": pod.name, "namespace": pod.namespace, "labels": dict(pod.labels)},
            "spec": {
                "containers": [
                    {
                        "name": "only",
                        "ports": [{"name": name, "containerPort": port} for name, port in pod.ports.items()],
                    }
                ]
            },
        }
        for pod in pods
    ]
    for name, content in (("policies", policies), ("namespaces", spaces), ("pods", written)):
        (directory / f"{name}.yaml").write_text(dumped(content))


def _read(line: str, ports: list[int]) -> Iterator[Flow]:
    found = LINE.fullmatch(line)
    if found is None:
        return
    sources, targets = _places(found["source"]), _places(found["target"])
    for protocol, port in _opened(found["what"], ports):
        for source in sources:
            for target in targets:
                yield source, target, protocol, port


def _places(text: str) -> list[str]:
    """Return the name of a pod, or those of our addresses in a range."""
    if text.endswith("[Pod]"):
        return [text.removesuffix("[Pod]").partition("/")[2]]
    first, _, last = text.partition("-")
    ends = ip_address(first), ip_address(last or first)
    addresses = [(each.name, ip_address(each.ip)) for each in ADDRESSES]
    return [name for name, ip in addresses if ip.version == ends[0].version and ends[0] <= ip <= ends[1]]  # type: ignore[operator]


def _opened(what: str, ports: list[int]) -> Iterator[tuple[str, int]]:
    if what == "All connections":
        yield from ((protocol, port) for protocol in ("TCP", "UDP") for port in ports)
    for found in PORTS.finditer(what):
        ranges = [each.partition("-") for each in found["ports"].split(",")]
        for protocol in found["protocols"].split(", "):
            for first, _, last in ranges:
                yield from ((protocol, port) for port in ports if int(first) <= port <= int(last or first))

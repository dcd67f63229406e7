"""Renders the manifests as `kubectl kustomize` does, and finds pods and containers in them."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.imports import ROOT

Object = dict[str, Any]

MANIFESTS = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("single-node", "production", "demo")
COMPONENTS = tuple(sorted(path.name for path in (MANIFESTS / "components").iterdir()))
TOOLS = Path(sys.prefix) / "manifests" / "bin"
CHECKOV = Path(sys.prefix) / "checkov" / "bin" / "checkov"
# Not part of an overlay, or in place of another component: each stands on this one.
ALTERNATIVES = {
    "external-vault": ("tls", "postgres-single", "ingress"),
    "zones": ("tls", "nats-cluster", "postgres-cnpg", "openbao", "gateway-api"),
    "tracing": ("tls", "postgres-single", "openbao", "ingress"),
    "image-verification": ("tls", "postgres-single", "openbao", "ingress"),
}
SECONDS = 120
RELOADER = "reloader"


@dataclass(frozen=True)
class Workload:
    """An object that makes pods: its name, kind, and the template of the pods."""

    name: str
    kind: str
    template: Object

    @property
    def spec(self) -> Object:
        """Return the specification of its pods."""
        spec: Object = self.template["spec"]
        return spec

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels of its pods."""
        labels: dict[str, str] = self.template["metadata"]["labels"]
        return labels

    @property
    def containers(self) -> list[Object]:
        """Return all containers, those of the start among them."""
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    @property
    def container(self) -> Object:
        """Return its one container, beside which only reloaders may run."""
        (container,) = self.spec["containers"]
        assert {each["name"] for each in self.containers[:-1]} <= {RELOADER}
        return dict(container)

    @property
    def ports(self) -> dict[str, int]:
        """Return the ports of its pods by their names."""
        ports = (port for each in self.containers for port in each.get("ports", ()))
        return {port["name"]: port["containerPort"] for port in ports}

    @property
    def reloader(self) -> Object | None:
        """Return the container that has the server read its renewed certificate, where there is one."""
        return next((each for each in self.containers if each["name"] == RELOADER), None)


def tool(path: Path) -> Path:
    """Return a program that checks manifests; skips the test where `make tools` has not installed it."""
    if not path.exists():
        pytest.skip("needs `make tools`, which installs the programs that check the manifests")
    return path


def render(folder: Path) -> str:
    """Return what `kubectl kustomize` writes; fails with its words."""
    command: list[str | Path] = [tool(TOOLS / "kubectl"), "kustomize", folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def golden(overlay: str) -> Path:
    """Return the file with the rendered manifests of an overlay."""
    return MANIFESTS / "overlays" / overlay / "rendered.yaml"


@cache
def objects(overlay: str) -> tuple[Object, ...]:
    """Return the rendered objects of an overlay, which need no program."""
    return tuple(yaml.load_all(golden(overlay).read_text(), yaml.CSafeLoader))


class _Plain(yaml.CSafeDumper):
    """Writes an object that occurs twice twice, because not every reader knows YAML's references."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the signature of PyYAML
        """Use no reference."""
        return True


def dumped(found: Iterable[Object]) -> str:
    """Return objects as YAML documents."""
    return str(yaml.dump_all(found, Dumper=_Plain))


def of_kind(overlay: str, *kinds: str) -> list[Object]:
    """Return the objects of these kinds."""
    return [each for each in objects(overlay) if each["kind"] in kinds]


def workloads(overlay: str, *kinds: str) -> Iterator[Workload]:
    """Yield what makes pods, of all kinds or of these."""
    for each in of_kind(overlay, *(kinds or ("Deployment", "StatefulSet", "Job"))):
        yield Workload(each["metadata"]["name"], each["kind"], each["spec"]["template"])


def workload(overlay: str, name: str) -> Workload:
    """Return the one with this name."""
    (found,) = (each for each in workloads(overlay) if each.name == name)
    return found


def names(overlay: str, kind: str) -> set[str]:
    """Return the names of all objects of a kind."""
    return {each["metadata"]["name"] for each in of_kind(overlay, kind)}


def environment(container: Object) -> dict[str, str]:
    """Return the variables of a container that the manifest itself states."""
    return {each["name"]: each["value"] for each in container.get("env", ()) if "value" in each}


def every(test: str = "overlay") -> pytest.MarkDecorator:
    """Run a test for each overlay."""
    return pytest.mark.parametrize(test, OVERLAYS)

"""Every object is valid for the oldest and the newest version of Kubernetes, and for its operator."""

import json
import shutil
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from tests.kubernetes.manifests import MANIFESTS, TOOLS, Object, dumped, every, objects, of_kind, tool

SECONDS = 60
# CloudNativePG 1.30 supports these.
OLDEST, NEWEST = "1.34", "1.37"
MODULES = Path(sys.prefix) / "npm" / "node_modules"
PUBLISHED = ("cert-manager.io", "gateway.networking.k8s.io", "keda.sh", "monitoring.coreos.com")
OWN = yaml.safe_load((Path(__file__).parent / "schemas" / "own.yaml").read_text())


def group(each: Object) -> str:
    """Return the API group of an object, empty for the core."""
    return str(each["apiVersion"]).rpartition("/")[0]


def is_foreign(each: Object) -> bool:
    """Return whether an operator brings the kind."""
    return group(each) in PUBLISHED or key(each) in OWN


def key(each: Object) -> str:
    """Return group, version and kind."""
    return f"{each['apiVersion']}/{each['kind']}"


def refused(found: list[Object], version: str, directory: Path) -> str:
    """Return what kubernetes-validate says of objects that are not valid."""
    path = directory / "objects.yaml"
    path.write_text(dumped(found))
    command: list[str | Path] = [
        tool(TOOLS / "kubernetes-validate"),
        "--strict",
        "--quiet",
        "-k",
        version,
        path,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def refused_by_operators(found: list[Object]) -> list[str]:
    """Return the errors by the schemas of the operators' projects."""
    node = shutil.which("node")
    if node is None or not (MODULES / "@kubernetes-models").exists():
        pytest.skip("needs Node with npm, and `make test`, which installs the schemas")
    command: list[str | Path] = [node, Path(__file__).with_name("crds.js"), MODULES]
    done = subprocess.run(
        command, input=json.dumps(found), capture_output=True, text=True, timeout=SECONDS, check=True
    )
    wrong: list[str] = json.loads(done.stdout)
    return wrong


@every()
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_takes_every_object(overlay: str, version: str, tmp_path: Path) -> None:
    """Unknown fields are refused, so that a misspelt one does nothing silently."""
    assert refused([each for each in objects(overlay) if not is_foreign(each)], version, tmp_path) == ""


def test_an_object_that_is_wrong_is_refused(tmp_path: Path) -> None:
    """The check above can fail."""
    (deployment, *_) = deepcopy(of_kind("production", "Deployment"))
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}

    assert "readynessProbe" in refused([deployment], NEWEST, tmp_path)


@every()
def test_the_operators_take_every_object(overlay: str) -> None:
    """cert-manager, Gateway API, KEDA and the Prometheus operator by the schemas of their projects."""
    assert refused_by_operators([each for each in objects(overlay) if group(each) in PUBLISHED]) == []


def test_what_the_operators_do_not_take_is_refused() -> None:
    """The check above can fail."""
    route, scaled = deepcopy([*of_kind("production", "HTTPRoute"), *of_kind("production", "ScaledObject")])
    route["spec"]["rules"][0]["timeouts"]["request"] = "75 seconds"
    del scaled["spec"]["triggers"]

    assert len(refused_by_operators([route, scaled])) == 2


@every()
def test_other_resources_have_the_fields_that_their_projects_document(overlay: str) -> None:
    """CloudNativePG and its plugin publish no package of schemas: ours lists the fields that we use."""
    for each in objects(overlay):
        if key(each) in OWN:
            jsonschema_rs.validate(OWN[key(each)], each["spec"])


def test_the_alternatives_are_valid(tmp_path: Path) -> None:
    """Objects of components that no overlay has."""
    found = [
        yaml.safe_load(path.read_text())
        for component in ("external-vault", "image-verification")
        for path in sorted((MANIFESTS / "components" / component).glob("*.yaml"))
        if path.name not in {"kustomization.yaml", "vault-broker.yaml"}
    ]

    assert refused([each for each in found if not is_foreign(each)], NEWEST, tmp_path) == ""
    for each in found:
        if key(each) in OWN:
            jsonschema_rs.validate(OWN[key(each)], each["spec"])

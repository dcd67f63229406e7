"""Each overlay is checked in as rendered, so that a review shows how a change affects a cluster."""

from pathlib import Path

import pytest
import yaml

from tests.kubernetes.manifests import ALTERNATIVES, COMPONENTS, MANIFESTS, OVERLAYS, every, golden, render

SOURCES = [
    path
    for folder in ("base", "components")
    for path in sorted((MANIFESTS / folder).rglob("*.yaml"))
    if path.name != "kustomization.yaml"
]


def of(path: Path) -> set[str]:
    """Return the components that an overlay names, and those of the overlay below it."""
    written = yaml.safe_load((path / "kustomization.yaml").read_text())
    below = [path / each for each in written["resources"] if each.startswith("../") and "base" not in each]
    own = {each.rpartition("/")[2] for each in written["components"] if each.startswith("../../components/")}
    return own.union(*(of(each.resolve()) for each in below))


@every()
def test_the_rendered_file_is_what_kubectl_makes(overlay: str) -> None:
    """`make manifests` writes the checked-in file, which equals the output of kubectl."""
    assert render(MANIFESTS / "overlays" / overlay) == golden(overlay).read_text()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(MANIFESTS)))
def test_a_file_has_one_object(path: Path) -> None:
    """Its name is that of the object's kind, so that a reader finds it."""
    assert len(list(yaml.safe_load_all(path.read_text()))) == 1


def test_every_component_is_rendered_somewhere() -> None:
    """A component is part of an overlay, or rendered by the test of alternatives."""
    used = set().union(*(of(MANIFESTS / "overlays" / overlay) for overlay in OVERLAYS))

    assert used | ALTERNATIVES.keys() == {*COMPONENTS}
    assert not used & ALTERNATIVES.keys()


@pytest.mark.parametrize(("component", "others"), ALTERNATIVES.items())
def test_an_alternative_renders(component: str, others: tuple[str, ...], tmp_path: Path) -> None:
    """A component that no overlay has fits the base, its patches included."""
    kustomization = {
        "resources": ["../manifests/base"],
        "components": [f"../manifests/components/{each}" for each in (*others, component)],
    }
    (tmp_path / "manifests").symlink_to(MANIFESTS)
    (tmp_path / "overlay").mkdir()
    (tmp_path / "overlay" / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))

    found = list(yaml.safe_load_all(render(tmp_path / "overlay")))

    text = yaml.safe_dump_all(found)
    if component == "external-vault":
        assert "openbao" not in text
        assert "provision-vault" not in text
    elif component == "zones":
        assert text.count("DoNotSchedule") == 3
    elif component == "tracing":
        assert text.count("name: OTEL_EXPORTER_OTLP_ENDPOINT") == 3
        assert yaml.safe_load((MANIFESTS / "components/tracing/network-policy.yaml").read_text()) in found
    else:
        assert "policy.sigstore.dev/include" in text

"""checkov and trivy find nothing in the manifests but what `skips.yaml` explains."""

import json
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubernetes.manifests import CHECKOV, OVERLAYS, TOOLS, every, tool
from tests.kubernetes.pinning import rendered_with_digests

SECONDS = 180
SKIPS = yaml.safe_load(Path(__file__).with_name("skips.yaml").read_text())


def skipped(check: str, resource: str) -> bool:
    """Return whether a finding is explained."""
    return any(
        check in {each["id"], each.get("also")} and each.get("only", resource) == resource for each in SKIPS
    )


@pytest.fixture(name="manifests", scope="module")
def _manifests(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the rendered manifests of the overlays as they are deployed: with digests."""
    directory = tmp_path_factory.mktemp("pinned")
    paths = [directory / f"{overlay}.yaml" for overlay in OVERLAYS]
    for path in paths:
        path.write_text(rendered_with_digests(path.stem, directory))
    return paths


def told(*command: str | Path) -> Any:
    """Return the JSON that a program prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.stdout.startswith(("{", "[")), done.stderr
    return json.loads(done.stdout)


def test_at_most_five_are_skipped_and_each_has_a_reason() -> None:
    """More would be a habit."""
    assert len(SKIPS) <= 5
    assert all(len(each["reason"]) > 80 for each in SKIPS)


def test_checkov_finds_nothing_else(manifests: list[Path]) -> None:
    """Every check of its Kubernetes framework, and each skip is needed."""
    options = ("--framework", "kubernetes", "--output", "json", "--quiet", "--compact", "--skip-download")
    files = [part for path in manifests for part in ("--file", path)]
    report = told(tool(CHECKOV), *files, *options)
    failed = {(each["check_id"], each["resource"]) for each in report["results"]["failed_checks"]}

    assert report["summary"]["passed"] > 300 * len(manifests)
    assert {each for each in failed if not skipped(*each)} == set()
    assert {check for check, _ in failed} == {each["id"] for each in SKIPS if each["id"].startswith("CKV")}


def test_trivy_finds_nothing_else(manifests: list[Path]) -> None:
    """All built-in checks of every severity pass but the skips, and each skip is needed."""
    options = ("--skip-check-update", "--quiet", "--format", "json")
    report = told(tool(TOOLS / "trivy"), "config", *options, manifests[0].parent)
    found = {
        (each["ID"], resource(each["Message"]))
        for result in report["Results"]
        if (manifests[0].parent / result["Target"]) in manifests
        for each in result.get("Misconfigurations", ())
    }

    assert {each for each in found if not skipped(*each)} == set()
    needed = {check for each in SKIPS for check in (each["id"], each.get("also", "")) if "KSV" in check}
    assert {check for check, _ in found} == needed


def resource(message: str) -> str:
    """Return the object of a finding as KIND/NAME, empty where the message names none in this form."""
    words = pairwise(message.replace("'", "").split())
    return next(
        (f"{kind}/{name}" for kind, name in words if kind in {"StatefulSet", "Deployment", "Job"}), ""
    )


@every()
def test_every_image_can_be_pinned(overlay: str, tmp_path: Path) -> None:
    """The command leaves no image by its tag alone, and keeps the tag as a comment."""
    rendered = rendered_with_digests(overlay, tmp_path)
    images = [line.strip() for line in rendered.splitlines() if line.strip().startswith("image:")]

    assert images
    assert all("@sha256:" in each for each in images)
    written = (tmp_path / "manifests" / "overlays" / overlay / "images" / "kustomization.yaml").read_text()
    assert "# tag 0.1.0" in written

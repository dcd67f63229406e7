"""Alerts fire on their faults and not on a healthy system, and each has its runbook."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.monitoring import RULES, rule_groups
from tests.imports import ROOT
from tests.kubernetes.alerting import ALERTS, alerts, judge, promtool
from tests.kubernetes.manifests import OVERLAYS, every, of_kind, workloads

RUNBOOKS = ROOT / "docs" / "runbooks"
NAMES = sorted({rule["alert"] for rule in alerts()})
FILES = sorted(ALERTS.glob("*.yaml"))


def judged(file: Path) -> list[dict[str, Any]]:
    """Return the tests of promtool in a file."""
    tests: list[dict[str, Any]] = yaml.safe_load(file.read_text())["tests"]
    return tests


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_alerts_fire_on_their_faults_only(file: Path, tmp_path: Path) -> None:
    """Promtool runs each alert on series with its fault and on series without it."""
    judge(tmp_path, judged(file))


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_is_tried_both_ways(name: str) -> None:
    """A test sees it fire, and another sees it silent."""
    fired = {
        bool(check["exp_alerts"])
        for file in FILES
        for each in judged(file)
        for check in each["alert_rule_test"]
        if check["alertname"] == name
    }

    assert fired == {True, False}


def test_the_rules_are_valid(tmp_path: Path) -> None:
    """Promtool reads them with their words, and finds none of them twice."""
    (file := tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": rule_groups()}))

    done = promtool("check", "rules", file)

    assert done.returncode == 0, done.stdout + done.stderr


def test_production_has_these_rules() -> None:
    """The cluster gets what promtool tried."""
    rendered = [group for each in of_kind("production", "PrometheusRule") for group in each["spec"]["groups"]]

    assert sorted(rendered, key=lambda group: group["name"]) == sorted(
        rule_groups(), key=lambda group: group["name"]
    )


def test_production_has_this_dashboard() -> None:
    """Grafana's sidecar finds it by its label."""
    (found,) = (
        each for each in of_kind("production", "ConfigMap") if each["metadata"]["name"] == "dashboard"
    )

    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert found["data"]["dashboard.json"] == (RULES / "dashboard.json").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_has_a_runbook(name: str) -> None:
    """Its address is one that a browser opens; the page has the name of the alert and three parts."""
    for rule in (each for each in alerts() if each["alert"] == name):
        address = rule["annotations"]["runbook_url"]
        assert address.startswith("https://")
        assert address.endswith(f"/docs/runbooks/{name}.md")
        assert rule["annotations"]["summary"].endswith(".")
    page = (RUNBOOKS / f"{name}.md").read_text()

    assert page.startswith(f"# {name}\n")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == ["How it looks", "What to check", "What to do"]


def test_a_runbook_belongs_to_an_alert() -> None:
    """No page stays when its alert goes, and the list has each."""
    pages = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    listed = re.findall(r"\]\((\w+)\.md\)", (RUNBOOKS / "README.md").read_text())

    assert pages == {*NAMES}
    assert sorted(listed) == NAMES


@every()
def test_what_is_scraped_has_the_port(overlay: str) -> None:
    """Each pod that a monitor selects has the named port, also those of other overlays."""
    for monitor in of_kind(overlay, "PodMonitor"):
        for expression in monitor["spec"]["selector"].get("matchExpressions", ()):
            every_one = [each for other in OVERLAYS for each in workloads(other)]
            chosen = [
                each for each in every_one if each.labels.get(expression["key"]) in expression["values"]
            ]
            assert {each.name for each in chosen} == {*expression["values"]}
            for each in chosen:
                assert "operations" in each.ports

"""Alerts and autoscalers ask for metrics that the services have, and each alert has a runbook."""

import re

import pytest
from prometheus_client import Counter, Gauge

from chassis import metrics
from tests.imports import ROOT
from tests.kubernetes.manifests import Object, every, of_kind, workloads

NAME = re.compile(r"butler_[a-z_]+")
# The labels that Prometheus adds to a series of a PodMonitor.
OF_THE_TARGET = {"namespace", "pod"}
BY = re.compile(r"by \(([^)]*)\)|\{(\w+)=")


def series() -> dict[str, set[str]]:
    """Return the labels of each metric of a service, by the names of its series."""
    found: dict[str, set[str]] = {}
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Gauge):
            name = f"{metric._name}_total" if isinstance(metric, Counter) else metric._name
            found[name] = {*metric._labelnames}
    return found


def rules() -> list[Object]:
    """Return the alerts of production."""
    return [
        rule
        for each in of_kind("production", "PrometheusRule")
        for group in each["spec"]["groups"]
        for rule in group["rules"]
    ]


def queries() -> list[str]:
    """Return the queries of alerts and of the scaler."""
    asked = [rule["expr"] for rule in rules()]
    return asked + [
        trigger["metadata"]["query"]
        for each in of_kind("production", "ScaledObject")
        for trigger in each["spec"]["triggers"]
    ]


@pytest.mark.parametrize("query", queries())
def test_a_query_asks_for_a_metric_with_its_labels(query: str) -> None:
    """A metric that was renamed would be an alert that never fires."""
    known = series()
    (name,) = {*NAME.findall(query)}
    asked = {
        label.strip() for found in BY.findall(query) for text in found for label in text.split(",") if text
    }

    assert name in known
    assert asked <= known[name] | OF_THE_TARGET


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_has_a_runbook(rule: Object) -> None:
    """Its address is one that a browser opens, and its section exists, by the name of the alert."""
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert page.startswith("https://")
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs" / page.rpartition("/")[2]).read_text(), re.MULTILINE)

    assert anchor == rule["alert"].lower()
    assert rule["alert"] in headings
    assert rule["annotations"]["summary"].endswith(".")


@every()
def test_what_is_scraped_has_the_port(overlay: str) -> None:
    """Each pod that a monitor selects has the named port."""
    for monitor in of_kind(overlay, "PodMonitor"):
        for expression in monitor["spec"]["selector"].get("matchExpressions", ()):
            chosen = [
                each
                for each in workloads(overlay)
                if each.labels.get(expression["key"]) in expression["values"]
            ]
            assert len(chosen) == len(expression["values"])
            for each in chosen:
                assert "operations" in {port["name"] for port in each.container["ports"]}

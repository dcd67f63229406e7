"""Alerts, dashboard and autoscaler use metrics that the services report, and a healthy system is silent."""

import json
import math
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from chassis import metrics
from contracts.wire.key_files import created
from deploy.keys import GATEWAY, OWNER, SUPERUSER
from deploy.local.monitoring import RULES, prometheus, rule_groups, write_targets
from deploy.local.services import MODULES
from deploy.local.stack import Stack
from tests.conformance.simulated import Admin
from tests.kubernetes.alerting import alerts, judge
from tests.kubernetes.manifests import of_kind
from tests.kubernetes.promql import asked
from tests.system.person import Person
from tests.waiting import until

FOREIGN = Path(__file__).parents[1] / "kubernetes" / "foreign_metrics.yaml"
# Prometheus adds them to each series of a pod.
OF_THE_TARGET = {"namespace", "pod", "app_kubernetes_io_name"}
# A label of histograms, and the labels that an alert adds to its own.
OF_PROMETHEUS = {"le", "alertname", "severity"}
# The labels of series that only a fault begins are those that the services declare.
DECLARED = {
    name: {*metric._labelnames}
    for metric in vars(metrics).values()
    if hasattr(metric, "_labelnames")
    for name in {metric._name, f"{metric._name}_total"}
}
HOURS = 3
FAULTS = "butler_sync_faults_total"
SAMPLED = {
    ("butler_sync_queued_oldest_seconds", "gateway"),
    ("butler_dead_letters", "gateway"),
    ("butler_transaction_oldest_seconds", "gateway"),
    ("butler_token_left_seconds", "vault-broker"),
    ("butler_certificate_left_seconds", "sync-worker"),
}

Series = dict[str, set[str]]
Sample = tuple[str, dict[str, str], float]


async def samples(stack: Stack) -> list[Sample]:
    """Return what all services report now, with the labels of their targets."""
    found: list[Sample] = []
    async with httpx.AsyncClient(trust_env=False) as client:
        for service in MODULES:
            text = (await client.get(f"{stack.operations(service)}/metrics")).text
            target = {"namespace": "butler", "pod": service, "app_kubernetes_io_name": service}
            found.append(("up", target, 1.0))
            for family in text_string_to_metric_families(text):
                found += [(each.name, {**each.labels, **target}, each.value) for each in family.samples]
                if not family.samples:
                    name = f"{family.name}_total" if family.type == "counter" else family.name
                    declared = dict.fromkeys(DECLARED.get(name, ()), "")
                    found.append((name, declared, math.nan))
    return found


def queries() -> list[str]:
    """Return the expressions of rules, dashboard and autoscalers."""
    rules = [rule["expr"] for group in rule_groups() for rule in group["rules"]]
    panels = json.loads((RULES / "dashboard.json").read_text())["panels"]
    shown = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    scalers = [
        trigger["metadata"]["query"]
        for each in of_kind("production", "ScaledObject")
        for trigger in each["spec"]["triggers"]
    ]
    assert rules
    assert shown
    assert scalers
    return rules + shown + scalers


def known(reported: list[Sample]) -> Series:
    """Return the labels of each series: of the services, of recording rules, and of other projects."""
    series: Series = {}
    for name, labels, _ in reported:
        series.setdefault(name, set()).update(labels)
    for group in rule_groups():
        series.update({rule["record"]: set() for rule in group["rules"] if "record" in rule})
    foreign: dict[str, Any] = yaml.safe_load(FOREIGN.read_text())
    for name, said in foreign.items():
        assert said["source"].startswith("https://")
        series.setdefault(name, set()).update(said["labels"])
    return series


def unknown(query: str, series: Series) -> set[str]:
    """Return the metrics and labels of an expression that nothing reports."""
    found = asked(query)
    missing = {name for name in found.metrics if name not in series}
    of_all = set[str]().union(*(series.get(name, set()) for name in found.metrics))
    for name, labels in found.metrics.items():
        missing |= {f"{name}{{{label}}}" for label in labels - series.get(name, set()) - OF_THE_TARGET}
    return missing | (found.grouping - of_all - OF_THE_TARGET - OF_PROMETHEUS)


@pytest.fixture(name="healthy")
async def _healthy(stack: Stack, person: Person) -> list[Sample]:
    """Return the metrics of the services after one sync, when each has sampled its parts."""
    account = await person.connect("plain")
    assert (await person.post(f"/accounts/{account['id']}/sync", status=200))["status"] == "completed"
    found: list[Sample] = []

    async def sampled() -> bool:
        found[:] = await samples(stack)
        read = {(name, labels.get("pod")) for name, labels, value in found if not math.isnan(value)}
        return read >= SAMPLED

    await until(sampled)
    return found


async def test_what_is_asked_is_reported(healthy: list[Sample]) -> None:
    """A metric or label that was renamed would be an alert that never fires, or an empty panel."""
    series = known(healthy)

    assert {query: unknown(query, series) for query in queries() if unknown(query, series)} == {}


async def test_a_first_event_is_a_step(healthy: list[Sample]) -> None:
    """Each counter of an alert has its series before its first event, which no increase would show else."""
    begun = {name for name, _, value in healthy if not math.isnan(value)}
    counted = {
        name for rule in alerts() if "increase(" in rule["expr"] for name in asked(rule["expr"]).metrics
    }

    assert {name for name in counted if name.endswith("_total")} <= begun


async def test_a_fault_is_counted_with_the_party_that_must_act(
    stack: Stack, person: Person, admin: Admin
) -> None:
    """A sync that reads a part ends with its fault, and a complete one with none."""

    async def faults() -> float:
        wanted = {"code": "unreadable_rows", "actor": "operator", "pod": "gateway"}
        found = [(labels, value) for name, labels, value in await samples(stack) if name == FAULTS]
        return sum(value for labels, value in found if wanted.items() <= labels.items())

    account, before = await person.connect("plain"), await faults()
    await admin.put("plain", "asset/balances", {"fault": "replaced", "field": "bal", "text": '"a lot"'})
    try:
        sync = await person.post(f"/accounts/{account['id']}/sync", status=200)
    finally:
        await admin.clear("plain", "asset/balances")
    await person.post(f"/accounts/{account['id']}/sync", status=200)

    assert sync["error_code"] == "unreadable_rows"
    assert await faults() == before + 1


async def test_each_service_shows_its_keys_and_their_ages(healthy: list[Sample], stack: Stack) -> None:
    """There is one of each kind outside of a rotation, and the age is what its file says."""
    shown = {
        name: {
            (labels["pod"], labels["key"]): value
            for found, labels, value in healthy
            if found == name and "pod" in labels  # a service without any has only the declared labels
        }
        for name in ("butler_keys_live", "butler_key_created_seconds")
    }
    keys = stack.parts.directory / "keys"
    files = {("gateway", "jwt"): "jwt.pem", ("gateway", "grant"): "grant.pem"}
    files |= {("vault-broker", "grant"): "grant.pem"}
    files |= {(service, "nkey"): f"{service}.nk" for service in MODULES}
    made = {of: created((keys / name).read_bytes()) for of, name in files.items()}
    others = {("gateway", f"password of {role}") for role in (GATEWAY, OWNER, SUPERUSER)}
    others |= {(service, "certificate") for service in MODULES}
    others |= {("vault-broker", key) for key in ("sealing", "wrapping", "seal", "login")}
    live, ages = shown.values()

    # The broker reads the keys of the vault when it samples, and the gateway the ages of passwords.
    assert {of: live.get(of) for of in files} == dict.fromkeys(files, 1)
    assert all(made.values())
    assert {of: ages.get(of) for of in files} == {of: time and time.timestamp() for of, time in made.items()}
    assert ages.keys() - files.keys() == others


async def test_a_healthy_system_is_silent(healthy: list[Sample], tmp_path: Path) -> None:
    """No alert fires while the numbers of a system that has done its work stay as they are."""
    series = [
        {
            "series": name + json.dumps(labels).replace('": "', '="').replace(', "', ", ").replace('{"', "{"),
            "values": f"{value}+0x{HOURS * 60}",
        }
        for name, labels, value in healthy
        if all("\\" not in text for text in labels.values()) and not name.endswith("_created")
    ]
    checks = [
        {"eval_time": at, "alertname": rule["alert"], "exp_alerts": []}
        for rule in alerts()
        for at in ("1m", f"{HOURS - 1}h")
    ]

    judge(tmp_path, [{"interval": "1m", "input_series": series, "alert_rule_test": checks}])


async def test_the_targets_are_the_services(stack: Stack, tmp_path: Path) -> None:
    """Prometheus finds each service at its operations port, and its configuration is valid."""
    write_targets(tmp_path, stack.ports)
    command = prometheus(tmp_path, "true", 9090)

    found = json.loads((tmp_path / "monitoring" / "targets.json").read_text())
    assert {f"http://{each['targets'][0]}" for each in found} == {*map(stack.operations, MODULES)}
    assert f"--config.file={tmp_path / 'monitoring' / 'prometheus.yaml'}" in command

"""Prometheus beside the local stack: with the rules of the cluster, and targets that follow the stack."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from deploy.local.ports import LOOPBACK
from deploy.local.services import MODULES, operations_port
from deploy.private_files import private_folder, write_private

RULES = Path(__file__).parents[1] / "kubernetes" / "components" / "monitoring"
# The job's name in the cluster's PodMonitor.
JOB = "butler/services"
SCRAPE_SECONDS = 5


class NotMonitored(Exception):
    """Prometheus cannot run here; the text says why."""


def rule_groups() -> list[dict[str, Any]]:
    """Return the groups of all rules of the cluster, which are Prometheus's own format."""
    files = sorted(RULES.glob("*-rule.yaml"))
    return [group for file in files for group in yaml.safe_load(file.read_text())["spec"]["groups"]]


def write_targets(directory: Path, ports: Mapping[str, int]) -> None:
    """Write the addresses of the services that run now, with the labels that they have in the cluster."""
    targets = [
        {
            "targets": [f"{LOOPBACK}:{operations_port(ports, name)}"],
            "labels": {"app_kubernetes_io_name": name, "namespace": "butler", "pod": name},
        }
        for name in MODULES
    ]
    write_private(private_folder(directory / "monitoring") / "targets.json", json.dumps(targets).encode())


def prometheus(directory: Path, program: str, port: int) -> list[str]:
    """Write the configuration of a Prometheus, and return its command; raises NotMonitored."""
    folder = directory / "monitoring"
    found = shutil.which(program)
    if found is None:
        raise NotMonitored(f"{program} is not installed: name a Prometheus with PROMETHEUS=")
    if not (folder / "targets.json").exists():
        raise NotMonitored(f"no stack has run in {directory}: start one with `make up`")
    write_private(folder / "rules.yaml", yaml.safe_dump({"groups": rule_groups()}).encode())
    write_private(folder / "prometheus.yaml", yaml.safe_dump(_configuration(folder)).encode())
    return [
        found,
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={LOOPBACK}:{port}",
        "--log.level=warn",
    ]


def monitor(directory: Path, program: str, port: int) -> None:
    """Become a Prometheus that watches the stack; raises NotMonitored."""
    command = prometheus(directory, program, port)
    print(f"Prometheus    http://{LOOPBACK}:{port}/alerts, data in {directory / 'monitoring'}")
    print(f"Dashboard     {RULES / 'dashboard.json'}, to be imported by a Grafana")
    print("\nCtrl-C stops it.", flush=True)
    os.execv(command[0], command)  # noqa: S606 - a program of the caller's choice, without a shell


def _configuration(folder: Path) -> dict[str, Any]:
    every = f"{SCRAPE_SECONDS}s"
    files = [{"files": [str(folder / "targets.json")], "refresh_interval": every}]
    return {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": [str(folder / "rules.yaml")],
        "scrape_configs": [{"job_name": JOB, "file_sd_configs": files}],
    }

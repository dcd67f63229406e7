"""Beside each server of the manifests runs a reloader that finds its process, port and certificate."""

import json

from deploy.reloading.__main__ import arguments
from tests.kubernetes.manifests import Object, Workload, every, of_kind, workload, workloads
from tests.kubernetes.providing import Contents, contents, of_volume

# The port for clients, and how the image begins the command where a manifest has only arguments.
SERVERS = {"nats": ("nats", ["nats-server"]), "openbao": ("api", []), "database": ("postgres", [])}
CERTIFICATE = ("tls.crt", "ca.crt")


def files(pod: Workload, container: Object, existing: Contents) -> dict[str, bytes]:
    """Return the files of a container by their paths."""
    volumes = {each["name"]: each for each in pod.spec["volumes"]}
    mounts = [each for each in container["volumeMounts"] if each["name"] in volumes]
    return {
        f"{mount['mountPath']}/{name}": content
        for mount in mounts
        for name, content in of_volume(volumes[mount["name"]], existing, lambda _: b"a token").items()
    }


@every()
def test_each_server_and_no_other_pod_has_a_reloader(overlay: str) -> None:
    """It starts before the server, and runs as long as it; only NATS shares its processes with it."""
    for pod in workloads(overlay):
        assert (pod.reloader is not None) == (pod.kind == "StatefulSet"), pod.name
        assert pod.spec.get("shareProcessNamespace", False) == (pod.name == "nats")
        if pod.reloader:
            assert pod.reloader in pod.spec["initContainers"]
            assert pod.reloader["restartPolicy"] == "Always"


@every()
def test_a_reloader_finds_the_server(overlay: str) -> None:
    """Its arguments name the first words of the server's command, and the port for clients."""
    for pod in workloads(overlay, "StatefulSet"):
        assert pod.reloader
        options, (port, program) = arguments(pod.reloader["args"]), SERVERS[pod.name]
        command = [*pod.container.get("command", program), *pod.container.get("args", ())]

        assert [*options.server] == command[: len(options.server)]
        assert len(options.server) == (2 if pod.name == "nats" else 0)
        assert options.port == pod.ports[port]
        assert options.postgres == (pod.name == "database")
        assert options.metrics_port == pod.ports["operations"]


def test_openbao_reads_its_certificate_again() -> None:
    """By itself, in the time of the other two."""
    (told,) = (each for each in of_kind("single-node", "ConfigMap") if "openbao.json" in each["data"])
    ((listener,),) = (each.values() for each in json.loads(told["data"]["openbao.json"])["listener"])

    assert (listener["tls_auto_reload"], listener["tls_auto_reload_interval"]) == (True, "10s")


def test_postgresql_is_the_first_process_of_its_namespace() -> None:
    """It could take another for the server before a crash, and would not start; its probe signals it."""
    pod = workload("single-node", "database")
    *_, script = pod.container["livenessProbe"]["exec"]["command"]
    mounted = arguments(pod.reloader["args"]).certificate if pod.reloader else None

    assert "shareProcessNamespace" not in pod.spec
    assert script.splitlines() == [
        f'test -z "$(find -L {mounted}/tls.crt -mmin -5)" || kill -HUP 1',
        "exec pg_isready --host=127.0.0.1 --username=postgres",
    ]
    assert f"ssl_cert_file={mounted}/tls.crt" in pod.container["args"]


def test_a_reloader_has_the_certificate_and_no_other_secret() -> None:
    """NATS asks its clients for a certificate, so that the reloader there has the key, too."""
    existing = contents("single-node")
    for pod in workloads("single-node", "StatefulSet"):
        assert pod.reloader
        folder = f"{arguments(pod.reloader['args']).certificate}/"
        own, seen = (files(pod, each, existing) for each in (pod.reloader, pod.container))

        assert {*own} == {
            folder + name for name in (*CERTIFICATE, *(["tls.key"] if pod.name == "nats" else []))
        }
        assert own.items() <= seen.items()


@every()
def test_every_mounted_file_follows_its_object(overlay: str) -> None:
    """A kubelet never changes a file that is mounted by its path in a volume."""
    for pod in workloads(overlay):
        for container in pod.containers:
            assert not [each for each in container["volumeMounts"] if {"subPath", "subPathExpr"} & {*each}]

"""The configuration of NATS in a cluster is that of the topology, and a real server takes it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.wire.topology import MAX_PAYLOAD, STREAMS
from tests.kubernetes.manifests import every, of_kind, workload
from tests.kubernetes.providing import contents, files

SECONDS = 30


def configuration(overlay: str, directory: Path) -> Path:
    """Write the files of a server as its pod finds them, under a directory, and return the main one."""
    pod = workload(overlay, "nats")
    for place, content in files(pod, contents(overlay)).items():
        path = directory / place.removeprefix("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        text = re.sub(r'"(/(run|data|var)[^"]*)"', lambda found: f'"{directory}{found[1]}"', content.decode())
        path.write_text(text)
    return directory / "etc" / "nats" / "nats.conf"


@every()
def test_the_server_takes_its_configuration(overlay: str, tmp_path: Path) -> None:
    """With the accounts that the command for secrets writes, and the certificate of cert-manager."""
    server = Path(sys.executable).with_name("nats-server")
    done = subprocess.run(
        [server, "-t", "-c", configuration(overlay, tmp_path)],
        env={"POD_NAME": "nats-0"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "is valid" in done.stderr


@every()
def test_the_limits_are_those_of_the_topology(overlay: str, tmp_path: Path) -> None:
    """Confirmed messages survive a power failure, and the disk holds all streams."""
    told = configuration(overlay, tmp_path).read_text()
    space = sum(stream.max_bytes or 0 for stream in STREAMS)
    (claim,) = (each for each in of_kind(overlay, "StatefulSet") if each["metadata"]["name"] == "nats")
    size = claim["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"]

    assert f"max_payload: {MAX_PAYLOAD}\n" in told
    assert f"max_file_store: {space}\n" in told
    assert "sync_interval: always\n" in told
    assert "max_memory_store: 0\n" in told
    assert int(size.removesuffix("Gi")) * 1024**3 > 2 * space


@pytest.mark.parametrize(("overlay", "servers"), [("single-node", 1), ("demo", 1), ("production", 3)])
def test_each_stream_is_on_all_servers(overlay: str, servers: int, tmp_path: Path) -> None:
    """The provisioning, the servers and their routes agree on the number."""
    (nats,) = (each for each in of_kind(overlay, "StatefulSet") if each["metadata"]["name"] == "nats")
    routes = (configuration(overlay, tmp_path).parent / "cluster.conf").read_text()

    assert nats["spec"]["replicas"] == servers
    assert f"--replicas={servers}" in workload(overlay, "provision-bus").container["args"]
    assert re.findall(r"nats-route://(\S+):6222", routes) == (
        [f"nats-{number}.nats-servers" for number in range(servers)] if servers > 1 else []
    )

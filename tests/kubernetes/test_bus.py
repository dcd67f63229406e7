"""The configuration of NATS in a cluster is that of the topology, and a real server takes it."""

import asyncio
import re
import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from chassis.settings import listed
from contracts.wire.topology import MAX_PAYLOAD, STREAMS
from deploy.local.ports import LOOPBACK, accepts, free_ports
from deploy.local.processes import Processes, Program
from tests.kubernetes.manifests import environment, every, of_kind, workload
from tests.kubernetes.providing import authority, contents, write_server

SECONDS = 30


def configuration(overlay: str, directory: Path) -> Path:
    """Write the files of a server of a new cluster, and return the main one."""
    return write_server(overlay, directory, contents(overlay))


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


async def greeting(port: int, context: ssl.SSLContext | None) -> bytes:
    """Return the first bytes that the server sends to a client, which speaks first if it has no TLS."""
    with suppress(ssl.SSLError, ConnectionError):
        name = "nats" if context else None
        reader, writer = await asyncio.open_connection(LOOPBACK, port, ssl=context, server_hostname=name)
        if context is None:
            writer.write(b"PING\r\n")
        try:
            return await asyncio.wait_for(reader.read(4), SECONDS)
        finally:
            writer.close()
    return b""


async def test_the_server_speaks_only_with_clients_of_its_authority(tmp_path: Path) -> None:
    """One without a certificate, with that of a stranger, or without TLS hears not even who the server is."""
    (port, monitoring), processes = free_ports(2), Processes(tmp_path / "logs")
    command: list[str | Path] = [
        Path(sys.executable).with_name("nats-server"),
        "-c",
        configuration("single-node", tmp_path),
        "--addr",
        LOOPBACK,
        "--port",
        str(port),
        "--http_port",
        str(monitoring),
        "--pid",
        tmp_path / "pid",
    ]
    contexts = {name: ssl.create_default_context() for name in ("own", "none", "stranger")}
    for context in contexts.values():
        authority().configure_trust(context)
    for name, issuer in (("own", authority()), ("stranger", trustme.CA())):
        issuer.issue_cert("gateway").configure_cert(contexts[name])
    async with processes.running(Program("nats", command, {"POD_NAME": "nats-0"})):
        await processes.until("nats", lambda: accepts(port), SECONDS)

        heard = {name: await greeting(port, context) for name, context in contexts.items()}
        clear = await greeting(port, None)

    assert heard == {"own": b"INFO", "none": b"", "stranger": b""}
    assert b"INFO" not in clear


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


def clients(overlay: str) -> dict[str, list[str]]:
    """Return the hosts of the bus that each client of ours is told."""
    urls = {
        service: listed(environment(workload(overlay, service).container)["NATS_URL"])
        for service in ("gateway", "sync-worker", "vault-broker")
    }
    (url,) = (each for each in workload(overlay, "provision-bus").container["args"] if "://" in each)
    urls["provision-bus"] = (url.partition("=")[2],)
    assert {urlsplit(each).port for each in sum(urls.values(), ())} == {4222}
    return {name: [str(urlsplit(each).hostname) for each in own] for name, own in urls.items()}


@pytest.mark.parametrize(("overlay", "servers"), [("single-node", 1), ("demo", 1), ("production", 3)])
def test_a_service_knows_every_server(overlay: str, servers: int) -> None:
    """One that loses its server connects to another, whatever the cluster thinks of the lost one."""
    every_one = [f"nats-{number}.nats-servers" for number in range(servers)] if servers > 1 else ["nats"]

    assert clients(overlay) == {
        **dict.fromkeys(("gateway", "sync-worker", "vault-broker"), every_one),
        "provision-bus": ["nats"],
    }


def verifies(issued: trustme.LeafCert, authority: trustme.CA, host: str) -> bool:
    """Return whether a client of ours trusts a server with this certificate under a name."""
    client, server = ssl.create_default_context(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.configure_trust(client)
    issued.configure_cert(server)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(back, there, server_hostname=host),
        server.wrap_bio(there, back, server_side=True),
    ]
    try:
        for end in ends * 2:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    except ssl.SSLCertVerificationError:
        return False
    return ends[0].version() is not None


@every()
def test_the_certificate_has_the_name_of_each_server(overlay: str) -> None:
    """Clients verify by the rules of OpenSSL, which takes fewer wildcards than the servers themselves."""
    (certificate,) = (each for each in of_kind(overlay, "Certificate") if each["metadata"]["name"] == "nats")
    authority = trustme.CA()
    issued = authority.issue_cert(*certificate["spec"]["dnsNames"])

    assert not verifies(issued, authority, "database-rw")
    for host in {host for hosts in clients(overlay).values() for host in hosts}:
        assert verifies(issued, authority, host), host

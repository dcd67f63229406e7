"""The bus over TLS: only with the intended server, and never in clear."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate
from nats.errors import Error

from chassis.bus.connection import Bus
from chassis.settings import NATS_TLS, BadSetting, Running, running
from contracts.wire.topology import STREAMS
from deploy.local.certificates import make_authority
from deploy.local.nats import Nats, running_nats, until_it_accepts
from deploy.local.processes import Processes
from deploy.local.services import nats_files
from deploy.private_files import private_folder
from tests.chaos.blackhole import Blackhole
from tests.chassis.bus.servers import serving
from tests.joining import joined
from tests.waiting import IN_THE_CLEAR, until

CONNECT_SECONDS = 3.0
# nats-py drops the writer of a connection that fails in its handshake.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <StreamWriter:ResourceWarning")


@pytest_asyncio.fixture(name="secured", scope="module")
async def _secured(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Nats, Path]]:
    """Run a server with TLS that asks for a client's certificate, and yield it with its folder."""
    directory = tmp_path_factory.mktemp("tls")
    async with serving(directory, [""]) as (bus,):
        make_authority(bus.ca.parent, "").issue(["gateway"], private_folder(directory / "client"))
        yield bus, directory / "client"


@pytest_asyncio.fixture(name="plain")
async def _plain(tmp_path: Path) -> AsyncIterator[Nats]:
    """Run a server without TLS, as earlier stacks had it."""
    processes = Processes(tmp_path / "logs")
    async with running_nats(processes, tmp_path) as bus:
        bus.write(re.sub(r"^tls .*\n", "", bus.configuration.read_text(), flags=re.MULTILINE))
        await processes.restart(bus.program)
        await until_it_accepts(processes, bus)
        yield bus


@pytest.fixture(name="told")
def _told(secured: tuple[Nats, Path]) -> dict[str, str]:
    """Return the settings of a service that has all TLS files."""
    bus, client = secured
    return {
        "NATS_URL": bus.url,
        "NATS_NKEY_FILE": str(bus.seed_file("gateway")),
        "NATS_CA_FILE": str(bus.ca),
        "NATS_CERT_FILE": str(client / "server.pem"),
        "NATS_KEY_FILE": str(client / "server-key.pem"),
    }


async def connected(told: dict[str, str]) -> str:
    """Return how a service with these settings connects: by TLS, in clear, or not."""
    return await connects(running(told, 3000))


async def connects(settings: Running) -> str:
    """Return how a service connects within a few seconds."""
    bus = Bus("gateway", "gateway", settings.nats_urls, settings.nats_seed, tls=settings.nats_tls)
    try:
        with suppress(TimeoutError, OSError, Error):
            await asyncio.wait_for(bus.start(), CONNECT_SECONDS)
            await bus.client.flush(2)
            writer: Any = bus.client._transport._io_writer  # type: ignore[union-attr]
            return "tls" if writer.get_extra_info("ssl_object") else "clear"
        return ""
    finally:
        await bus.stop()


def provisioned(bus: Nats, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command that makes the streams."""
    command = [sys.executable, "-m", "chassis.bus.provision", "--url", bus.url]
    command += ["--nkey-file", str(bus.seed_file("admin")), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


async def test_a_service_speaks_tls_with_the_server_that_it_trusts(told: dict[str, str]) -> None:
    """With the authority's file and its own certificate the service connects, encrypted."""
    assert await connected(told) == "tls"


@pytest.mark.parametrize(
    "changed",
    [
        {"NATS_CERT_FILE": "", "NATS_KEY_FILE": ""},
        {"NATS_CA_FILE": "stranger"},
        {"NATS_URL": "localhost"},
    ],
    ids=["no certificate of its own", "another authority", "another name"],
)
async def test_a_service_speaks_with_no_other(
    told: dict[str, str], tmp_path: Path, changed: dict[str, str]
) -> None:
    """A server that another authority signed, or that has another name, is refused; so is such a service."""
    stranger = str(make_authority(tmp_path, "stranger").certificate_path)
    meant = {"stranger": stranger, "localhost": told["NATS_URL"].replace("127.0.0.1", "localhost")}

    assert not await connected(told | {name: meant.get(text, text) for name, text in changed.items()})


async def test_a_plain_connection_is_refused(told: dict[str, str]) -> None:
    """A client without TLS hears nothing from the server, and is disconnected."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(told["NATS_URL"].rpartition(":")[2]))
    writer.write(b'CONNECT {"verbose":true}\r\nPING\r\n')

    assert b"INFO" not in await asyncio.wait_for(reader.read(), CONNECT_SECONDS)
    writer.close()


async def test_the_next_connection_shows_a_new_certificate(
    told: dict[str, str], secured: tuple[Nats, Path], tmp_path: Path
) -> None:
    """A service reads its files again for each connection, and works on while they can not be read."""
    bus, _ = secured
    authority = make_authority(bus.ca.parent, "")
    file = authority.issue_file(["gateway"], tmp_path / "gateway.pem")
    settings = running(told | {"NATS_CERT_FILE": str(file), "NATS_KEY_FILE": str(file)}, 3000)
    first = load_pem_x509_certificate(file.read_bytes()).fingerprint(SHA256()).hex()
    assert await shown(bus, settings) == first

    authority.issue_file(["renewed"], file)
    second = load_pem_x509_certificate(file.read_bytes()).fingerprint(SHA256()).hex()
    assert await shown(bus, settings) == second != first

    file.unlink()
    assert await shown(bus, settings) == second


async def shown(bus: Nats, settings: Running) -> str:
    """Connect, and return the hash of the certificate that the server was shown."""
    service = Bus("gateway", "gateway", settings.nats_urls, settings.nats_seed, tls=settings.nats_tls)
    await service.start()
    async with httpx.AsyncClient(verify=IN_THE_CLEAR, trust_env=False) as client:
        address = bus.health.replace("healthz", "connz")
        said = (await client.get(address, params={"auth": 1})).json()["connections"]
    await service.stop()
    leaf, _authority = max(said, key=lambda connection: connection["cid"])["tls_peer_certs"]
    return str(leaf["cert_sha256"])


async def test_the_end_of_a_connection_is_no_warning(
    told: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """The server goes away and comes back, and asyncio, which knows of TLS, has nothing to say."""
    async with Blackhole(int(told["NATS_URL"].rpartition(":")[2])) as way:
        settings = running(told | {"NATS_URL": f"nats://127.0.0.1:{way.port}"}, 3000)
        bus = Bus("gateway", "gateway", settings.nats_urls, settings.nats_seed, tls=settings.nats_tls)
        await bus.start()
        way.cut()

        async def away() -> bool:
            return not await bus.ready()

        await until(away)
        way.open()
        await until(bus.ready)
        await bus.stop()
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


async def test_a_service_that_expects_tls_says_nothing_in_the_clear(
    told: dict[str, str], plain: Nats
) -> None:
    """A server without TLS is refused, even if it says that TLS is not required."""
    clear = told | {"NATS_URL": plain.url, "NATS_NKEY_FILE": str(plain.seed_file("gateway"))}

    assert await connected({name: text for name, text in clear.items() if name not in NATS_TLS}) == "clear"
    assert not await connected(clear)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"NATS_CA_FILE": ""}, "NATS_CA_FILE is not set"),
        ({"NATS_CA_FILE": "/nowhere"}, "NATS_CA_FILE can not be used: No such file"),
        ({"NATS_KEY_FILE": ""}, "NATS_KEY_FILE is not set"),
        ({"NATS_CERT_FILE": ""}, "NATS_CERT_FILE is not set"),
        ({"NATS_CERT_FILE": "{NATS_KEY_FILE}"}, "NATS_CERT_FILE can not be used"),
    ],
)
def test_half_of_the_settings_is_refused(told: dict[str, str], changed: dict[str, str], named: str) -> None:
    """An incomplete setting would mean a bus in clear, or a server that disconnects."""
    with pytest.raises(BadSetting, match=named):
        running(told | {name: text.format(**told) for name, text in changed.items()}, 3000)


async def test_streams_are_made_over_tls(told: dict[str, str], secured: tuple[Nats, Path]) -> None:
    """The command takes the same files, and makes nothing at an untrusted server."""
    bus, client = secured
    own = ["--cert-file", told["NATS_CERT_FILE"], "--key-file", told["NATS_KEY_FILE"]]
    stranger = make_authority(client.with_name("stranger"), "stranger").certificate_path

    refused = provisioned(bus, "--ca-file", str(stranger), *own)
    half = provisioned(bus, *own)
    ran = provisioned(bus, "--ca-file", told["NATS_CA_FILE"], *own)

    assert refused.returncode != 0
    assert (half.returncode, "need --ca-file" in half.stderr) == (2, True)
    assert ran.returncode == 0, ran.stderr


async def replicas(bus: Nats) -> set[int]:
    """Return the number of servers that hold the streams."""
    async with await joined(bus, "admin") as client:
        found: list[Any] = [await client.jetstream().stream_info(str(stream.name)) for stream in STREAMS]
    return {info.config.num_replicas for info in found}


async def test_streams_are_kept_on_as_many_servers_as_told(tmp_path: Path) -> None:
    """Three of a cluster's servers keep each stream; provisioning without a number does not change that."""
    async with serving(tmp_path, ["", "", ""]) as servers:
        files = nats_files(servers[0], "admin").values()
        own = [
            word
            for option in zip(("--ca-file", "--cert-file", "--key-file"), files, strict=True)
            for word in option
        ]
        assert provisioned(servers[0], *own, "--replicas", "1").returncode == 0
        assert await replicas(servers[0]) == {1}
        assert provisioned(servers[1], *own, "--replicas", "3").returncode == 0
        assert await replicas(servers[2]) == {3}
        assert provisioned(servers[2], *own).returncode == 0
        assert await replicas(servers[0]) == {3}

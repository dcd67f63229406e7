"""The bus over TLS: only with the intended server, and never in clear."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import nats as nats_client
import pytest
import pytest_asyncio
from nats.errors import Error

from chassis.bus.connection import Bus
from chassis.settings import NATS_TLS, BadSetting, Running, running
from contracts.wire.topology import STREAMS
from deploy.local.certificates import Authority, Identity, make_authority
from deploy.local.nats import Nats
from tests.chassis.bus.servers import serving

CONNECT_SECONDS = 3.0


def issued(folder: Path, *hosts: str) -> tuple[Authority, Identity]:
    """Return an authority and a server's identity."""
    authority = make_authority(folder, folder.name)
    return authority, authority.issue(hosts)


@pytest_asyncio.fixture(name="secured", scope="module")
async def _secured(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Nats, Path]]:
    """Run a server with TLS that asks for a client's certificate, and yield it with its folder."""
    directory = tmp_path_factory.mktemp("tls")
    authority, server = issued(directory / "ca", "127.0.0.1")
    files = {
        "cert_file": server.certificate_path,
        "key_file": server.key_path,
        "ca_file": authority.certificate_path,
    }
    block = "".join(f'{name}: "{path}", ' for name, path in files.items())
    async with serving(directory, [f"tls {{ {block} verify: true, handshake_first: true }}\n"]) as (bus,):
        yield bus, directory / "ca"


@pytest.fixture(name="told")
def _told(secured: tuple[Nats, Path]) -> dict[str, str]:
    """Return the settings of a service that has all TLS files."""
    bus, ca = secured
    return {
        "NATS_URL": bus.url,
        "NATS_NKEY_FILE": str(bus.seed_file("gateway")),
        "NATS_CA_FILE": str(ca / "ca.pem"),
        "NATS_CERT_FILE": str(ca / "server.pem"),
        "NATS_KEY_FILE": str(ca / "server-key.pem"),
    }


async def connected(told: dict[str, str]) -> str:
    """Return how a service with these settings connects within a few seconds: by TLS, in clear, or not."""
    settings: Running = running(told, 3000)
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


async def test_a_service_that_expects_tls_says_nothing_in_the_clear(told: dict[str, str], nats: Nats) -> None:
    """A server without TLS is refused, even if it says that TLS is not required."""
    clear = told | {"NATS_URL": nats.url, "NATS_NKEY_FILE": str(nats.seed_file("gateway"))}

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
    bus, ca = secured
    own = ["--cert-file", told["NATS_CERT_FILE"], "--key-file", told["NATS_KEY_FILE"]]
    stranger = make_authority(ca.with_name("stranger"), "stranger").certificate_path

    refused = provisioned(bus, "--ca-file", str(stranger), *own)
    half = provisioned(bus, *own)
    ran = provisioned(bus, "--ca-file", told["NATS_CA_FILE"], *own)

    assert refused.returncode != 0
    assert (half.returncode, "need --ca-file" in half.stderr) == (2, True)
    assert ran.returncode == 0, ran.stderr


async def replicas(bus: Nats) -> set[int]:
    """Return the number of servers that hold the streams."""
    async with await nats_client.connect(bus.url, nkeys_seed=str(bus.seed_file("admin"))) as client:
        found: list[Any] = [await client.jetstream().stream_info(str(stream.name)) for stream in STREAMS]
    return {info.config.num_replicas for info in found}


async def test_streams_are_kept_on_as_many_servers_as_told(tmp_path: Path) -> None:
    """Three of a cluster's servers keep each stream; provisioning without a number does not change that."""
    async with serving(tmp_path, ["", "", ""]) as servers:
        assert provisioned(servers[0], "--replicas", "1").returncode == 0
        assert await replicas(servers[0]) == {1}
        assert provisioned(servers[1], "--replicas", "3").returncode == 0
        assert await replicas(servers[2]) == {3}
        assert provisioned(servers[2]).returncode == 0
        assert await replicas(servers[0]) == {3}

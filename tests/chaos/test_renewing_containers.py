"""Certificates of servers in containers are renewed while syncs run, as cert-manager and kubelets do it."""

import asyncio
import json
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_asyncio
from nats.aio.client import Client

from deploy.reloading.server import Server
from tests.chaos.load import all_ended_once, flows
from tests.chaos.parts import World
from tests.cluster.rolling import SYNCS_PER_SECOND, connected
from tests.loading import Load
from tests.system.person import Person
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.cluster.reloaders import Reloader
    from tests.cluster.system import ContainerSystem

# The ports of the pods with the certificates.
PORTS = {"nats": "nats", "openbao": "api", "database": "postgres"}
SECONDS = 60.0
ASKING = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:3003/metrics').read().decode())"


@pytest_asyncio.fixture(name="reloaders")
async def _reloaders(world: World, whole_cluster: "ContainerSystem") -> "AsyncIterator[dict[str, Reloader]]":
    """Yield the running reloaders of the servers, with the same certificate; a Vault of tests has none."""
    from tests.cluster.dev_vault import DevVault  # noqa: PLC0415 - see the fixture `cluster`

    names = [name for name in PORTS if not isinstance(whole_cluster.pods[name], DevVault)]
    reloaders = {name: await whole_cluster.reloader(name) for name in names}
    for name, each in reloaders.items():
        await each.start()
        await whole_cluster.renew(name, each)
    yield reloaders
    for each in reloaders.values():
        each.remove()


async def test_servers_show_their_renewed_certificates(
    world: World,
    whole_cluster: "ContainerSystem",
    bus: Client,
    people: list[Person],
    reloaders: "Mapping[str, Reloader]",
    tmp_path: Path,
) -> None:
    """At 20 syncs a second no request fails, each sync is done and recorded once, and no server restarts."""
    load, renewed = Load(await connected(people), SYNCS_PER_SECOND), dict[str, bytes]()
    before = {name: (await each.server.state())["StartedAt"] for name, each in reloaders.items()}

    def shown() -> dict[str, bytes]:
        return {name: _shown(each, PORTS[name], tmp_path) for name, each in reloaders.items()}

    async def current() -> bool:
        # As often as here no kubelet asks.
        await asyncio.gather(*(each.server.probed("livenessProbe") for each in reloaders.values()))
        reported = [await each.run("python", "-c", ASKING) for each in reloaders.values()]
        return all('butler_ready{part="certificate"} 1\n' in each for each in reported)

    await until(current, SECONDS)
    async with load.running():
        for name, reloader in reloaders.items():
            pem = await whole_cluster.renew(name, reloader)
            renewed[name] = ssl.PEM_cert_to_DER_cert(pem.decode())
        await until(current, SECONDS)
        assert shown() == renewed
        await flows(world, load, SECONDS)

    assert (load.failed, bus.stats["reconnects"]) == ({}, 0)
    await all_ended_once(world, bus, [*load.accepted])
    for name, each in reloaders.items():
        assert (await each.server.state())["StartedAt"] == before[name]
        assert (await each.state())["Running"]
        said = {json.loads(line)["event"] for line in each.logs().splitlines()}
        assert ("server_told" in said) == each.settings.shared


def _shown(reloader: "Reloader", port: str, folder: Path) -> bytes:
    """Return the certificate that a new client sees."""
    pod = reloader.server
    return Server([], pod.ports[port], asks=port == "postgres").certificate(folder)

"""The keys of a cluster are rotated by its command while containers of the manifests work."""

import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest_asyncio

from deploy.kubernetes.cluster import ClusterPlace
from deploy.kubernetes.kubectl import Kubectl
from deploy.local.ports import LOOPBACK
from deploy.rotation.catalogue import ROTATIONS
from deploy.vault.connecting import Access
from tests.chaos.load import all_ended_once
from tests.chaos.parts import World
from tests.cluster.rolling import SYNCS_PER_SECOND, Endpoints, connected
from tests.joining import joined
from tests.kubernetes.kubectl import answering
from tests.loading import Load
from tests.rotation.conftest import refresh
from tests.rotation.test_under_load import session
from tests.system.person import Person
from tests.waiting import POLL_SECONDS, passed, until

if TYPE_CHECKING:
    from tests.cluster.kubectl import Deployments
    from tests.cluster.system import ContainerSystem

# Clients do nothing in shorter waits.
SHORT_SECONDS = 60.0
KEYS = ("jwt", "grant", "nkeys")
# Brokers know a new key for grants first, and forget the earlier one last.
ROLLED = [
    *["gateway"] * 3,
    *["vault-broker", *["gateway"] * 3, "vault-broker"],
    *["gateway", "sync-worker", "vault-broker"],
]
log = logging.getLogger(__name__)


@pytest_asyncio.fixture(name="deployments")
async def _deployments(
    world: World, whole_cluster: "ContainerSystem", endpoints: Endpoints
) -> "AsyncIterator[Deployments]":
    """Yield the services; at the end their first pods run again."""
    from tests.cluster.kubectl import Deployments  # noqa: PLC0415 - see the fixture `cluster`

    deployments = Deployments(whole_cluster, endpoints)
    yield deployments
    await deployments.restore()


@pytest_asyncio.fixture(name="place")
async def _place(
    world: World, whole_cluster: "ContainerSystem", people: list[Person], deployments: "Deployments"
) -> AsyncIterator[ClusterPlace]:
    """Yield the cluster, where clients refresh their tokens at once in place of a long wait."""

    async def passes(seconds: float) -> None:
        await until(passed(POLL_SECONDS))
        if seconds >= SHORT_SECONDS:
            for person in people:
                await refresh(person)

    ca, port = whole_cluster.directory / "ca.pem", whole_cluster.database.port
    url = f"postgresql://butler_owner@{LOOPBACK}:{port}/butler?sslmode=verify-full&sslrootcert={ca}"
    async with answering(deployments.answer) as program:
        yield ClusterPlace(whole_cluster.keys, Kubectl(program, "butler"), Access(None), url, passes)


async def test_rotations_lose_no_sync_and_end_no_session(
    world: World,
    people: list[Person],
    place: ClusterPlace,
    deployments: "Deployments",
) -> None:
    """At 20 syncs a second no request fails, and each sync is done and recorded once."""
    load, sessions = Load(await connected(people), SYNCS_PER_SECOND), [*map(session, people)]
    async with load.running():
        for key in KEYS:
            await ROTATIONS[key](place)

    accepted = [*load.accepted]
    log.info("%d syncs", len(accepted))
    assert load.failed == {}
    async with await joined(world.parts.nats, "admin") as bus:  # with today's nkey
        await all_ended_once(world, bus, accepted)
    for person in people:
        await refresh(person)
    assert [*map(session, people)] == sessions
    assert deployments.rolled == ROLLED

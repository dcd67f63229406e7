"""A rolling update in containers under load, to a release with a new wallet and a new fault code and back."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest_asyncio
from nats.aio.client import Client

from tests.chaos.load import all_ended_once
from tests.chaos.parts import World
from tests.cluster.rolling import SYNCS_PER_SECOND, Endpoints, connected, replace
from tests.cluster.versions import CODE, WALLET, build, changed_copy
from tests.containers.engine import docker
from tests.loading import Load
from tests.system.person import Person

if TYPE_CHECKING:
    from tests.cluster.pods import Pod
    from tests.cluster.system import ContainerSystem

# In this order each version of a service meets both versions of the others, there and back.
ORDER = ("vault-broker", "sync-worker", "gateway")
log = logging.getLogger(__name__)


@pytest_asyncio.fixture(name="following")
async def _following(whole_cluster: "ContainerSystem", tmp_path: Path) -> AsyncIterator[dict[str, "Pod"]]:
    """Yield pods of the release that follows, not started; at the end those of this release run again."""
    images = build(changed_copy(tmp_path), f"test-{uuid4().hex[:8]}")
    pods = {name: await whole_cluster.another(name, images[name]) for name in ORDER}
    yield pods
    for name, pod in pods.items():
        pod.remove()
        if not (await whole_cluster.pods[name].state())["Running"]:
            await whole_cluster.pods[name].start()
    docker("image", "rm", *images.values())


async def shown(person: Person, account: str) -> dict[str, str | None]:
    """Sync an account whose funding wallet is empty, and return the fault of each wallet."""
    await person.post(f"/accounts/{account}/sync", Prefer="wait=60")
    wallets = (await person.get(f"/accounts/{account}/balances"))["wallets"]
    return {each["wallet"]: each["error_code"] for each in wallets}


async def test_an_update_and_the_way_back_lose_nothing(
    world: World,
    whole_cluster: "ContainerSystem",
    bus: Client,
    people: list[Person],
    endpoints: Endpoints,
    following: dict[str, "Pod"],
) -> None:
    """Service by service: no request fails, and each sync is done and recorded once.

    The old gateway shows the new code, and leaves the new wallet out; the new one shows both.
    """
    accounts, person = await connected(people), people[0]
    empty = (await person.connect("empty"))["id"]
    known = {"trading": None, "funding": None, "earn": None}
    today = {name: whole_cluster.pods[name] for name in ORDER}
    load, faults = Load(accounts, SYNCS_PER_SECOND), []
    async with load.running():
        for old, new in ((today, following), (following, today)):
            for name in ORDER:
                await replace(old[name], new[name], endpoints)
                faults.append(await shown(person, empty))

    accepted = [*load.accepted]
    log.info("%d syncs", len(accepted))
    assert load.failed == {}
    await all_ended_once(world, bus, accepted)
    told = known | {"funding": CODE}
    assert faults == [
        known,
        told,
        told | {WALLET: None},
        told | {WALLET: None},
        known | {WALLET: None},
        known,
    ]

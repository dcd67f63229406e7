"""Each container of the system is killed and started again, or suspended, while users request syncs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from signal import SIGKILL
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.chaos.parts import World
from tests.system.person import Person
from tests.waiting import passed, until

if TYPE_CHECKING:
    from tests.cluster.system import ContainerSystem

PODS = ("nats", "database", "openbao", "exchange", "vault-broker", "sync-worker", "gateway")
ACCOUNTS = ("account-70", "account-71", "account-72")
# Before and after an outage, so that syncs are at all steps when it begins.
LOADED_SECONDS = 2.0
OUTAGE_SECONDS = 6.0
PAUSE_SECONDS = 0.2
END_SECONDS = 90


@asynccontextmanager
async def requesting(person: Person, paths: list[str]) -> AsyncIterator[set[str]]:
    """Request syncs all the time, and yield the ids of those that were accepted."""
    accepted: set[str] = set()

    async def request(path: str) -> None:
        while True:
            with suppress(httpx.TransportError):
                answer = await person.client.post(f"{path}/sync", headers={"Prefer": "respond-async"})
                if answer.status_code == 202:
                    accepted.add(answer.json()["sync_id"])
            await until(passed(PAUSE_SECONDS))

    requests = [asyncio.create_task(request(path)) for path in paths]
    try:
        yield accepted
    finally:
        for each in requests:
            each.cancel()
        await asyncio.wait(requests)


async def outage(cluster: "ContainerSystem", name: str, how: str) -> None:
    """Kill a pod's container and start it again, or suspend it for some seconds."""
    pod = cluster.pods[name]
    if how == "paused":
        async with pod.held():
            await until(passed(OUTAGE_SECONDS))
        return
    await pod.end(SIGKILL)
    await until(passed(OUTAGE_SECONDS))
    await pod.start()
    await pod.until_ready()


@pytest.mark.parametrize("how", ["killed", "paused"])
@pytest.mark.parametrize("name", PODS)
async def test_each_accepted_sync_has_one_outcome(
    world: World, person: Person, whole_cluster: "ContainerSystem", name: str, how: str
) -> None:
    """None is lost, none is recorded twice, and new ones succeed afterwards."""
    paths = [f"/accounts/{(await person.connect(account))['id']}" for account in ACCOUNTS]
    user = (await person.get("/me"))["id"]
    async with requesting(person, paths) as accepted:
        await until(passed(LOADED_SECONDS))
        before = len(accepted)
        await outage(whole_cluster, name, how)
        await until(passed(LOADED_SECONDS))

    async def ended() -> bool:
        return not await world.rows("select 1 from syncs where user_id = %s and status = 'queued'", user)

    await until(ended, END_SECONDS)
    outcomes = await world.rows(
        """select syncs.id::text, count(audit.id) from syncs
           left join audit on audit.subject = syncs.id and audit.action = 'sync_recorded'
           where syncs.user_id = %s group by syncs.id""",
        user,
    )
    assert before
    assert accepted <= {str(sync) for sync, _ in outcomes}
    assert {count for _, count in outcomes} == {1}
    await until(world.ready, END_SECONDS)
    for path in paths:
        assert (await person.post(f"{path}/sync"))["success"] is True

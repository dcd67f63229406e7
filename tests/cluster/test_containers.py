"""The pods of the overlay `demo` as containers: what their manifests say works."""

import pytest

from deploy.local.demo import demonstrate
from tests.cluster.system import SERVERS, SERVICES, ContainerSystem
from tests.waiting import until

PODS = (*SERVERS, *SERVICES)


@pytest.mark.parametrize("name", PODS)
async def test_each_probe_of_a_pod_succeeds(whole_cluster: ContainerSystem, name: str) -> None:
    """The probes of start, readiness and liveness name a port and a path that answer."""
    pod = whole_cluster.pods[name]

    for kind in pod.settings.probes:
        await until(lambda kind=kind: pod.probed(kind))  # type: ignore[misc]
    assert {"readinessProbe", "livenessProbe", "startupProbe"} <= {*pod.settings.probes}


@pytest.mark.parametrize("name", PODS)
async def test_a_pod_stays_within_its_limits(whole_cluster: ContainerSystem, name: str) -> None:
    """It was not killed for its memory, and did not restart."""
    state = await whole_cluster.pods[name].state()

    assert (state["Running"], state["OOMKilled"]) == (True, False)


async def test_an_account_is_connected_and_synced(whole_cluster: ContainerSystem) -> None:
    """The last step of the README, through the API of the gateway's pod."""
    assert await demonstrate(whole_cluster.stack.api)

"""The container beside a server that has it read its renewed certificate."""

from typing import Any

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from tests.cluster.pods import Pod
from tests.cluster.translating import Settings


class Reloader(Pod):
    """Shares the network of a server that has started, and its processes where the manifest says so."""

    def __init__(self, settings: Settings, network: Network, server: Pod) -> None:
        super().__init__(settings, network)
        self.server = server

    def _joined(self, run: DockerContainer) -> DockerContainer:
        return run

    def _confined(self) -> dict[str, Any]:
        beside, told = f"container:{self.server.container.id}", super()._confined()
        del told["hostname"]  # it is that of the server
        shared = {"network_mode": beside, **({"pid_mode": beside} if self.settings.shared else {})}
        return told | shared

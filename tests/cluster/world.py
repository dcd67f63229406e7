"""The pods as the parts that tests of dying parts end, suspend and start again."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from signal import SIGTERM, Signals
from typing import TYPE_CHECKING, cast

from deploy.local.ports import LOOPBACK
from tests.chaos.parts import Part, Reporting, Service, World
from tests.cluster.pods import Pod
from tests.cluster.system import SERVICES, ContainerSystem

if TYPE_CHECKING:
    from tests.vault_broker.vaults import OwnVault


class PodService(Reporting):
    """The pod of a service, which says by HTTP how it is."""

    def __init__(self, pod: Pod) -> None:
        self.name, self._pod = pod.name, pod
        self.url = f"http://{LOOPBACK}:{pod.ports.get('api', 0)}"
        self.operations = f"http://{LOOPBACK}:{pod.ports['operations']}"

    async def start(self) -> None:
        """Start it without waiting until it is ready."""
        await self._pod.start()

    async def end(self, signal: Signals = SIGTERM) -> None:
        """End it by a signal, even while it is suspended."""
        await self._pod.end(signal)

    def held(self) -> AbstractAsyncContextManager[None]:
        """Suspend its processes."""
        return self._pod.held()


class ContainerWorld(World):
    """The system in containers; it has what tests marked `cluster` use of the parts of the local stack."""

    def __init__(self, system: ContainerSystem, directory: Path) -> None:
        pods = system.pods
        nats, postgres, exchange = (cast("Part", pods[name]) for name in ("nats", "database", "exchange"))
        vault = cast("OwnVault", pods["openbao"])
        super().__init__(directory, nats, postgres, exchange, vault, system.stack.parts)
        self._pods = pods
        self.services = {name: cast("Service", PodService(pods[name])) for name in SERVICES}

    async def restart_nats(self) -> None:
        """Start the bus again on its data."""
        await self._restart("nats")

    async def restart_postgres(self) -> None:
        """Start the database again on its data."""
        await self._restart("database")

    async def _restart(self, name: str) -> None:
        await self._pods[name].start()
        await self._pods[name].until_ready()

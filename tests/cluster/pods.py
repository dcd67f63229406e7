"""Pods as containers of testcontainers: started, probed, killed, suspended and deleted."""

import asyncio
import io
import tarfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from signal import SIGTERM, Signals
from typing import Any

import httpx
from docker.errors import APIError
from docker.models.containers import Container
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.network import Network

from deploy.local.ports import LOOPBACK, free_ports
from tests.cluster.translating import Settings, Volume
from tests.kubernetes.manifests import Object
from tests.waiting import passed, until

# Ryuk, which deletes the containers of a dead process, is an image of its own: tests delete their containers.
testcontainers_config.ryuk_disabled = True
LABEL = "io.pocketbutler.test"
STOP_SECONDS = 60.0
# What a kubelet assumes where a probe does not say it.
PROBE = {"failureThreshold": 3, "periodSeconds": 10, "timeoutSeconds": 1}
# A kubelet has none of these on its way to a pod.
SLACK_SECONDS = 30.0
PAUSE_SECONDS = 0.3
CONNECT_SECONDS = 0.5


def archive(volumes: list[Volume], group: int) -> bytes:
    """Return all volumes as an archive with a folder for each, in their order."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for number, volume in enumerate(volumes):
            folder = tarfile.TarInfo(str(number))
            folder.type, folder.gid = tarfile.DIRTYPE, group
            folder.mode = 0o2755 if volume.read_only else 0o2775
            tar.addfile(folder)
            for path, file in volume.files.items():
                told = tarfile.TarInfo(f"{number}/{path}")
                told.size, told.mode, told.gid = len(file.content), file.mode, group
                told.mtime = int(time.time())  # as a kubelet writes it
                tar.addfile(told, io.BytesIO(file.content))
    return packed.getvalue()


class Pod:
    """One container with its volumes; its ports are published on fixed ports of the loopback interface.

    `added` are variables beside those of the manifest, `words` more arguments, `extra` more volumes.
    """

    def __init__(
        self,
        settings: Settings,
        network: Network,
        *,
        added: Mapping[str, str] | None = None,
        words: tuple[str, ...] = (),
        extra: tuple[Volume, ...] = (),
    ) -> None:
        self.settings, self.name = settings, settings.pod
        self._network = network
        self._added, self._words = added or {}, words
        self._volumes = [*settings.volumes, *extra]
        self.ports = dict(zip(settings.ports, free_ports(len(settings.ports)), strict=True))
        self._engine = DockerClient()
        self._run: DockerContainer | None = None
        self._made = [f"{network.name}-{self.name}-{number}" for number in range(len(self._volumes))]

    @property
    def container(self) -> Container:
        """Return the container; raises ContainerStartException before its start."""
        assert self._run is not None, f"{self.name} was not started"
        return self._run.get_wrapped_container()

    async def start(self) -> None:
        """Start it, the first time with new volumes."""
        await asyncio.to_thread(self._again if self._run else self._first)

    def _again(self) -> None:
        self.container.start()

    def _first(self) -> None:
        told, image = self.settings, self.settings.image
        self._fill(image)
        run = self._joined(DockerContainer(image))
        run.with_envs(**{**told.environment, **self._added}).with_kwargs(**self._confined())
        if told.arguments is not None or self._words:
            run.with_command([*(told.arguments or ()), *self._words])
        for name, port in told.ports.items():
            run.with_bind_ports(port, self.ports[name])
        for name, volume in zip(self._made, self._volumes, strict=True):
            run.with_volume_mapping(name, volume.path, "ro,nocopy" if volume.read_only else "rw,nocopy")
        for path, options in told.temporary.items():
            run.with_tmpfs_mount(path, options)
        self._run = run
        run.start()

    def _joined(self, run: DockerContainer) -> DockerContainer:
        return run.with_network(self._network).with_network_aliases(*self.settings.names)

    def _confined(self) -> dict[str, Any]:
        told = self.settings
        return {
            "hostname": told.pod,
            "entrypoint": told.entrypoint,
            "user": told.user,
            "group_add": [told.group],
            "read_only": told.read_only,
            "cap_drop": told.dropped,
            "security_opt": [] if told.escalates else ["no-new-privileges"],
            "mem_limit": told.memory,
            "memswap_limit": told.memory,
            "healthcheck": {"test": ["NONE"]},  # a kubelet asks by the probes of the manifest alone
            "restart_policy": {"Name": "on-failure", "MaximumRetryCount": told.tries} if told.tries else None,
        }

    def _fill(self, image: str) -> None:
        """Create the volumes, owned as a kubelet does it, through a container that never runs."""
        if not self._made:
            return
        for name in self._made:
            self._engine.client.volumes.create(name, labels={LABEL: self._network.name})
        self._pack(image)

    def _pack(self, image: str) -> None:
        """Write the files into the volumes."""
        places = {name: {"bind": f"/volumes/{at}", "mode": "rw,nocopy"} for at, name in enumerate(self._made)}
        porter = self._engine.create(image, volumes=places)
        try:
            assert porter.put_archive("/volumes", archive(self._volumes, self.settings.group))
        finally:
            porter.remove(v=True)

    async def refresh(self, volumes: list[Volume]) -> None:
        """Write the files of today's objects into its volumes, as a kubelet does while it runs."""
        self._volumes = volumes
        await asyncio.to_thread(self._pack, self.settings.image)

    async def probed(self, kind: str) -> bool:
        """Return whether a probe succeeds now; a pod without it counts as a success."""
        probe = self.settings.probes.get(kind)
        return probe is None or await self._asked({**PROBE, **probe})

    async def _asked(self, probe: Object) -> bool:
        if "exec" in probe:
            ended = await asyncio.to_thread(self.container.exec_run, probe["exec"]["command"])
            return bool(ended.exit_code == 0)
        if "tcpSocket" in probe:
            return await _listens(self.ports[probe["tcpSocket"]["port"]])
        told = probe["httpGet"]
        url = f"{told.get('scheme', 'HTTP').lower()}://{LOOPBACK}:{self.ports[told['port']]}{told['path']}"
        return await _answers(url, probe["timeoutSeconds"])

    async def ready(self) -> bool:
        """Return whether it would get requests: its probes of start and readiness succeed."""
        return await self.probed("startupProbe") and await self.probed("readinessProbe")

    async def until_ready(self) -> None:
        """Wait until it is ready, as long as the manifest allows its start; fails with its last lines."""
        told = {**PROBE, **self.settings.probes.get("startupProbe", {})}

        async def ready() -> bool:
            await until(passed(PAUSE_SECONDS))  # a probe that runs a program takes the machine's time
            assert (await self.state())["Running"], "it has ended"
            return await self.ready()

        try:
            await until(ready, told["failureThreshold"] * told["periodSeconds"] + SLACK_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{self.name} is not ready ({error}):\n{self.logs()[-4000:]}") from None

    async def succeeded(self) -> bool:
        """Return whether the program of a Job has ended well; fails when no try is left."""
        state = await self.state()
        ended = bool(state["Status"] == "exited")  # between two tries it is "restarting"
        assert not ended or state["ExitCode"] == 0, f"{self.name} failed:\n{self.logs()}"
        return ended

    async def state(self) -> dict[str, Any]:
        """Return the state of the container."""
        await asyncio.to_thread(self.container.reload)
        return dict(self.container.attrs["State"])

    def logs(self) -> str:
        """Return all that it has written."""
        logs = self.container.logs(stream=False)
        assert isinstance(logs, bytes)
        return logs.decode(errors="replace")

    async def run(self, *command: str) -> str:
        """Run a command inside and return its output; fails with its words."""
        ended = await asyncio.to_thread(self.container.exec_run, list(command))
        assert ended.exit_code == 0, ended.output
        assert isinstance(ended.output, bytes)
        return ended.output.decode()

    async def end(self, signal: Signals = SIGTERM) -> None:
        """End it by a signal, even while it is suspended; fails if it does not end."""

        async def ended() -> bool:
            return not (await self.state())["Running"]

        await asyncio.to_thread(self._signal, signal)
        await until(ended, STOP_SECONDS)

    def _signal(self, signal: Signals) -> None:
        self.container.reload()
        if self.container.status == "paused":  # the engine signals no suspended container
            self.container.unpause()
        self.container.kill(signal.name)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Suspend all of its processes."""
        await until(self._paused)
        try:
            yield
        finally:
            await asyncio.to_thread(self._release)

    async def _paused(self) -> bool:
        """Suspend it, and return whether that worked: the engine gives up where threads are too busy."""
        try:
            await asyncio.to_thread(self.container.pause)
        except APIError as error:
            if "unable to freeze" not in str(error):
                raise
            return False
        return True

    def _release(self) -> None:
        self.container.reload()
        if self.container.status == "paused":
            self.container.unpause()

    async def stop(self) -> int:
        """Stop it as a kubelet does, with its preStop and its time; return the exit code."""
        before = self.settings.before_stop
        if "exec" in before:
            await self.run(*before["exec"]["command"])
        if "sleep" in before:
            await until(passed(before["sleep"]["seconds"]))
        await asyncio.to_thread(self.container.stop, timeout=self.settings.grace)
        return int((await self.state())["ExitCode"])

    def remove(self) -> None:
        """Delete the container, if there is one, and its volumes."""
        if self._run is not None:
            self._run.stop()
        for name in self._made:
            try:
                self._engine.client.volumes.get(name).remove(force=True)
            except APIError:
                continue
        self._engine.client.close()


async def _answers(url: str, seconds: float) -> bool:
    """Return whether a URL answers with success; the certificate does not count, as for a kubelet."""
    async with httpx.AsyncClient(verify=False, timeout=seconds, trust_env=False) as client:  # noqa: S501
        try:
            return (await client.get(url)).is_success
        except httpx.HTTPError:
            return False


async def _listens(port: int) -> bool:
    """Return whether a program in the container listens; if none does, the engine's proxy closes at once."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                return bool(await reader.read(1))
            finally:
                writer.close()
    except TimeoutError:
        return True
    except OSError:
        return False

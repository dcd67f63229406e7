"""What kubectl does with the pods of containers, for exactly the calls of a rotation."""

import asyncio
from collections.abc import Sequence
from itertools import count

from tests.cluster.pods import Pod
from tests.cluster.rolling import Endpoints, replace
from tests.cluster.system import ContainerSystem
from tests.kubernetes.kubectl import Refused, applied


class Deployments:
    """The services in containers as Deployments of one pod each, whose pods are replaced."""

    def __init__(self, system: ContainerSystem, endpoints: Endpoints) -> None:
        self._system, self._endpoints = system, endpoints
        self._numbers = count(1)
        self._now: dict[str, Pod] = {}
        self._rolls: dict[str, asyncio.Task[None]] = {}
        self.rolled: list[str] = []

    async def answer(self, words: Sequence[str], given: str) -> str:
        """Answer one call."""
        match words[2:]:
            case ["apply", "--filename", "-"]:
                await self._apply(given)
            case ["get", "pods", "--selector", selector, "--output", "name"]:
                return f"pod/{self._pod(selector.partition('=')[2]).name}\n"
            case ["rollout", "restart", workload]:
                name = workload.removeprefix("deployment/")
                self.rolled.append(name)
                self._rolls[name] = asyncio.create_task(self._roll(name))
            case ["rollout", "status", workload, _]:
                await self._rolls[workload.removeprefix("deployment/")]
            case ["wait", "--for=delete", _, *_]:
                pass  # a roll ends when the pod before it has ended
            case ["get", "statefulset/nats", *_]:
                return "1"
            case ["exec", "nats-0", "--", *command]:
                return await self._system.pods["nats"].run(*command)
            case other:
                raise Refused(f"not known here: {other}")
        return ""

    async def _apply(self, given: str) -> None:
        """Take the objects; a kubelet brings them to the running bus."""
        self._system.applied = applied(given)
        await self._system.refresh("nats")

    def _pod(self, name: str) -> Pod:
        return self._now.get(name) or self._system.pods[name]

    async def _roll(self, name: str) -> None:
        before = self._pod(name)
        after = await self._system.another(name, number=f"rolled-{next(self._numbers)}")
        self._now[name] = after
        await replace(before, after, self._endpoints)
        if before is not self._system.pods[name]:
            await asyncio.to_thread(before.remove)

    async def restore(self) -> None:
        """Let the first pods run again, with the files of now."""
        await asyncio.gather(*(self._restore(name, pod) for name, pod in self._now.items()))

    async def _restore(self, name: str, pod: Pod) -> None:
        first = self._system.pods[name]
        await self._system.refresh(name)
        await first.start()
        await first.until_ready()
        await asyncio.to_thread(pod.remove)

"""Runs kubectl: secrets reach it by its standard input only, and each call has its time."""

import asyncio
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deploy.rotation.surroundings import RotationFailed

CALL_SECONDS = 60.0
ROLL_SECONDS = 600
# Longer than what any pod of ours may take to end.
END_SECONDS = 120
SHOWN = 300
AGAIN = "then run the same command again, which goes on from here"


@dataclass(frozen=True, slots=True)
class Kubectl:
    """A program kubectl, for the objects of one namespace."""

    program: str
    namespace: str

    async def run(self, *words: str, given: str = "", seconds: float = CALL_SECONDS) -> str:
        """Return what a call prints; raises RotationFailed with what to do when it fails."""
        call = [self.program, "--namespace", self.namespace, *words]
        shown = " ".join(("kubectl", *call[1:]))
        try:
            done = await asyncio.to_thread(_run, call, given, seconds)
        except subprocess.TimeoutExpired:
            raise RotationFailed(f"`{shown}` took over {seconds:.0f} s: see why, {AGAIN}") from None
        except OSError as error:
            raise RotationFailed(
                f"{self.program} can not run ({error.strerror}): install it, {AGAIN}"
            ) from None
        if done.returncode:
            raise RotationFailed(f"`{shown}` failed ({_reason(done.stderr, given)}): repair that, {AGAIN}")
        return done.stdout

    async def apply(self, objects: Sequence[dict[str, Any]]) -> None:
        """Create or replace objects; raises RotationFailed."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        await self.run("apply", "--filename", "-", given=json.dumps(items))

    async def roll(self, workload: str, pods: str) -> None:
        """Replace the pods of a workload, and wait until the new ones are ready and the others are gone.

        A pod that still ends may sign with the keys that it read. Raises RotationFailed.
        """
        before = await self.run("get", "pods", "--selector", pods, "--output", "name")
        await self.run("rollout", "restart", workload)
        limit = ROLL_SECONDS + CALL_SECONDS
        await self.run("rollout", "status", workload, f"--timeout={ROLL_SECONDS}s", seconds=limit)
        # The pods of a StatefulSet have the same names again.
        if before and not workload.startswith("statefulset/"):
            gone = ("wait", "--for=delete", f"--timeout={END_SECONDS}s")
            await self.run(*gone, *before.split(), seconds=END_SECONDS + CALL_SECONDS)


def _run(call: list[str], given: str, seconds: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(call, input=given, capture_output=True, text=True, timeout=seconds, check=False)


def _reason(errors: str, given: str) -> str:
    """Return the last line that kubectl printed, unless it repeats a secret."""
    if _repeats(errors, given):
        return "its error is hidden, because it repeats a secret"
    return next(iter(errors.strip().splitlines()[-1:]), "it printed no error")[:SHOWN]


def _repeats(text: str, given: str) -> bool:
    """Return whether a text has a value of a Secret among those that were given."""
    objects = json.loads(given)["items"] if given else ()
    values = [value for each in objects if each["kind"] == "Secret" for value in each["data"].values()]
    return any(value and value in text for value in values)

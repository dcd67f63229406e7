"""Starts our services as forks of one process that has imported their libraries.

A start then costs a tenth of the CPU. Each fork is a process of its own with its own settings, user and log.
Decision 26 lists what only a program that `python -m` starts can show; the tests of `make demo` and `make up`
start them that way.
"""

import asyncio
import multiprocessing
import os
import runpy
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from multiprocessing.reduction import DupFd
from signal import SIGKILL, Signals
from typing import IO, Protocol

from deploy.local import kernel
from deploy.local.confinement import Reach, Way
from deploy.local.processes import Processes, Program, Running

FORKED = {"gateway", "sync_worker", "vault_broker", "deploy.simulator"}
# Libraries and the parts that all services import: those of one service alone would register their metrics
# with the others.
LIBRARIES = [
    *("aiohttp", "contracts.wire.topology", "deploy.local.confinement", "deploy.local.kernel"),
    *("faststream.nats", "granian.server.embed", "httpx", "httpx_aiohttp", "hvac", "hvac.adapters"),
    *("litestar", "litestar.openapi.plugins", "litestar.plugins.pydantic", "litestar.security.jwt"),
    *("nats.js", "prometheus_client", "psycopg_pool", "pydantic.v1", "structlog", "zxcvbn"),
]
# A loader or interpreter reads these only when a program is executed.
AT_EXECUTION = ("LD_", "PYTHON", "MALLOC")
# They change how Python writes, and a service flushes its log lines itself.
ABOUT_WRITING = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
POLL_SECONDS = 0.01


class ForkingProcesses(Processes):
    """The programs of one stack, of which our own are forks."""

    async def launch(self, program: Program, output: IO[bytes]) -> Running:
        """Fork a service, or execute another program."""
        python, option, *command = (str(word) for word in program.command)
        ours = [python, option] == [sys.executable, "-m"] and command[0] in FORKED
        if not ours or _needs_execution(program.environment):
            return await super().launch(program, output)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(LIBRARIES)
        confined = (self.way, program.reach) if program.reach else None
        out, environment = Inherited(output.fileno()), dict(program.environment)
        descriptors = {name: Inherited(each) for name, each in program.descriptors.items()}
        known = (command, environment, out, confined, program.death_signal, descriptors)
        process = context.Process(target=_run, args=known, daemon=True)
        process.start()
        return Fork(process)


class Sent(Protocol):
    """A file descriptor on its way to the child."""

    def detach(self) -> int:
        """Return it in the child."""


class Inherited:
    """A file descriptor that the child gets with its arguments."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __reduce__(self) -> tuple[Callable[[Sent], int], tuple[Sent]]:
        """Give the child a copy of its own."""
        return _received, (DupFd(self._descriptor),)


def _received(sent: Sent) -> int:
    return sent.detach()


class Fork:
    """A forked process."""

    def __init__(self, process: ForkServerProcess) -> None:
        assert process.pid is not None
        self.pid = process.pid
        self._process = process

    @property
    def returncode(self) -> int | None:
        """Return its exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def send_signal(self, signal: int) -> None:
        """Send it a signal; raises ProcessLookupError if it has ended."""
        if self.returncode is not None:
            raise ProcessLookupError
        os.kill(self.pid, signal)

    def kill(self) -> None:
        """Send it SIGKILL; raises ProcessLookupError if it has ended."""
        self.send_signal(SIGKILL)

    async def wait(self) -> int:
        """Wait until it ends, and return its exit code."""
        while (code := self.returncode) is None:  # noqa: ASYNC110 -- only another process knows its end
            await asyncio.sleep(POLL_SECONDS)
        return code


def _needs_execution(environment: Mapping[str, str]) -> bool:
    """Return whether a variable that differs from ours works only at the execution of a program."""
    names = {*environment, *os.environ} - ABOUT_WRITING
    changed = (name for name in names if os.environ.get(name) != environment.get(name))
    return any(name.startswith(AT_EXECUTION) for name in changed)


def _run(
    command: Sequence[str],
    environment: Mapping[str, str],
    output: int,
    confined: tuple[Way, Reach] | None,
    death_signal: Signals,
    descriptors: Mapping[str, int],
) -> None:
    os.setsid()
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()
    os.environ.update(environment)
    os.environ.update({name: str(each) for name, each in descriptors.items()})
    time.tzset()
    if confined is not None:
        way, reach = confined
        way.confining(reach)()
    kernel.tie_to(os.getppid(), death_signal)
    sys.argv = [*command]
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)

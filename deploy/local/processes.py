"""The programs of the stack: they log to files, end with the starter, and are watched for exits."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import IO, NoReturn, Protocol

from chassis.inheriting import READY_FD
from deploy.local import kernel
from deploy.local.confinement import OutOfReach, Reach, Way, best_way

STOP_SECONDS = 30.0
FOLLOW_SECONDS = 60.0
POLL_SECONDS = 0.05
WATCH_SECONDS = 0.25
TAIL_BYTES = 4000
TAIL_LINES = 15
CLOSED = (
    "{} can not be started: its user may not run {}. Make the virtual environment again so that others may "
    "read it (`umask 022; make clean`), or start as another user than root"
)
# Variables of the caller for third-party programs (PG*, BAO_*) must not affect them.
PLAIN_ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}

Check = Callable[[], Awaitable[bool]]


class PartFailed(Exception):
    """A program of the stack ended or was not ready in time; the text ends with its last log lines."""


@dataclass(frozen=True, slots=True)
class Program:
    """A named program to run.

    With a `reach` it is confined to that; without one it has the starter's rights. The kernel sends it
    `death_signal` when the starter dies. `descriptors` are open files that it inherits, each by the
    variable that names it.
    """

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str] = field(default_factory=lambda: PLAIN_ENVIRONMENT, repr=False)
    reach: Reach | None = None
    stop_signal: Signals = SIGTERM
    death_signal: Signals = SIGKILL
    descriptors: Mapping[str, int] = field(default_factory=dict)


class Running(Protocol):
    """A started process, as asyncio describes its own."""

    @property
    def pid(self) -> int:
        """Return its id."""

    @property
    def returncode(self) -> int | None:
        """Return its exit code, negative for a signal; None while it runs."""

    def send_signal(self, signal: int) -> None:
        """Send it a signal; raises ProcessLookupError if it has ended."""

    def kill(self) -> None:
        """Send it SIGKILL; raises ProcessLookupError if it has ended."""

    async def wait(self) -> int:
        """Wait until it ends, and return its exit code."""


class Processes:
    """The running programs of one stack; `<logs>/<name>.log` has their output, `<name>.pid` their ids."""

    def __init__(self, logs: Path, way: Way | None = None) -> None:
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.logs = logs
        self.way = way or best_way()
        self._running: dict[str, Running] = {}
        self._restarting: set[str] = set()
        self._descriptors: dict[str, Mapping[str, int]] = {}

    @asynccontextmanager
    async def running(self, program: Program) -> AsyncIterator[Running]:
        """Start a program and stop it at exit: by its signal, and by SIGKILL after 30 s."""
        process = await self._start(program)
        self._running[program.name] = process
        self._descriptors[program.name] = program.descriptors
        try:
            yield process
        finally:
            await _stop(self._running.pop(program.name), program.stop_signal)

    async def restart(self, program: Program) -> None:
        """Restart a running program; meanwhile its exit is not a failure.

        One with inherited files has them again, and is stopped when its next process accepts connections: if
        that one ends before, the earlier goes on. Raises PartFailed.
        """
        name, before = program.name, self._running[program.name]
        self._restarting.add(name)
        try:
            if self._descriptors[name]:
                self._running[name] = await self._follow(program)
            await _stop(before, program.stop_signal)
            if not self._descriptors[name]:
                self._running[name] = await self._start(program)
        finally:
            self._restarting.discard(name)

    async def _follow(self, program: Program) -> Running:
        """Start the next process of a running program, and wait until it is ready; raises PartFailed."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        with os.fdopen(reading, "rb", buffering=0) as told:
            try:
                own = {**self._descriptors[program.name], READY_FD: writing}
                process = await self._start(replace(program, descriptors=own))
            finally:
                os.close(writing)
            try:
                await self._told(program.name, told)
            except BaseException:
                await _stop(process, program.stop_signal)
                raise
        return process

    async def _told(self, name: str, told: IO[bytes]) -> None:
        """Wait for the line that a process writes when it is ready; raises PartFailed."""

        async def is_told() -> bool:
            line = told.read(1)
            if line == b"":
                raise self._failed(name, "ended before it was ready")
            return line is not None

        await self.until(name, is_told, FOLLOW_SECONDS)

    def send_signal(self, name: str, number: Signals) -> None:
        """Send a signal to a running program, if it still runs."""
        with suppress(KeyError, ProcessLookupError):
            self._running[name].send_signal(number)

    async def run(self, program: Program, seconds: float) -> None:
        """Run a program to its end; raises PartFailed if it fails or takes longer."""
        process = await self._start(program)
        try:
            async with asyncio.timeout(seconds):
                code = await process.wait()
        except TimeoutError:
            raise self._failed(program.name, f"did not end within {seconds:.0f} s") from None
        finally:
            await _stop(process, program.stop_signal)
        if code != 0:
            raise self._failed(program.name, f"ended with {_words(code)}")

    async def until(self, name: str, check: Check, seconds: float) -> None:
        """Wait until the check passes; raises PartFailed after the timeout or if any program ends."""
        deadline = time.monotonic() + seconds
        while not await check():
            self.missing()
            if time.monotonic() > deadline:
                raise self._failed(name, f"was not ready within {seconds:.0f} s")
            await asyncio.sleep(POLL_SECONDS)

    async def failure(self) -> NoReturn:
        """Wait until a program ends unexpectedly; raises PartFailed."""
        while True:
            self.missing()
            await asyncio.sleep(WATCH_SECONDS)

    def missing(self) -> None:
        """Raise PartFailed if a program has ended unexpectedly."""
        for name, process in self._running.items():
            if process.returncode is not None and name not in self._restarting:
                raise self._failed(name, f"ended with {_words(process.returncode)}")

    async def _start(self, program: Program) -> Running:
        log = self.logs / f"{program.name}.log"
        if log.exists():  # keeps the log of one earlier run
            log.replace(log.with_suffix(".log.old"))
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as output:
            process = await self.launch(program, output)
        with suppress(OSError):  # a full disk must not leave an untracked process
            log.with_suffix(".pid").write_text(str(process.pid))
        return process

    async def launch(self, program: Program, output: IO[bytes]) -> Running:
        """Start a program that writes to `output`; raises PartFailed."""
        prepare = self._preparing(program)
        descriptors = {name: str(each) for name, each in program.descriptors.items()}
        try:
            return await asyncio.create_subprocess_exec(
                *program.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env={**program.environment, **descriptors},
                pass_fds=tuple(program.descriptors.values()),
                start_new_session=True,  # only the starter receives Ctrl-C
                preexec_fn=prepare,
            )
        except PermissionError:
            raise PartFailed(CLOSED.format(program.name, program.command[0])) from None

    def _preparing(self, program: Program) -> Callable[[], None]:
        """Return the child's function between fork and exec; raises PartFailed if it can not be confined."""
        parent = os.getpid()
        try:
            confine = self.way.confining(program.reach) if program.reach else None
        except OutOfReach as error:
            raise PartFailed(f"{program.name} can not be started: {error}") from None

        def prepare() -> None:
            try:
                if confine is not None:
                    confine()
                kernel.tie_to(parent, program.death_signal)
            except OSError as error:
                os.write(2, f"it could not be confined: {error}\n".encode())
                os._exit(1)

        return prepare

    def _failed(self, name: str, what: str) -> PartFailed:
        with (self.logs / f"{name}.log").open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()[-TAIL_LINES:]
        return PartFailed(
            "\n".join([f"{name} {what}. The end of {log.name}:", *(f"  {line}" for line in lines)])
        )


async def _stop(process: Running, stop_signal: Signals) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(stop_signal)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _words(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {Signals(-code).name}"


def executable(name: str) -> Path:
    """Return the path of a program that a package installed in this virtual environment."""
    return Path(sys.executable).with_name(name)

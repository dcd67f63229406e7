"""Commands to the running stack, by a Unix socket that only its own user may use.

A command is one line, the name of a key. The stack answers with lines of JSON: `said` is progress, and the
last line has `failed`, which is empty after a success. A rotation goes on if its command ends.
"""

import asyncio
import hashlib
import json
import os
import shutil
import socket
import struct
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.rotating import Local
from deploy.local.sockets import MAX_PATH, require_ours
from deploy.local.stack import Stack, Tell
from deploy.private_files import private_folder
from deploy.rotation.catalogue import ROTATIONS
from deploy.rotation.surroundings import RotationFailed

NAME = "control.sock"
MAX_LINE = 64 * 1024
# Process, user and group of the client: SO_PEERCRED of Linux.
PEER = struct.Struct("3i")

Listener = Callable[[dict[str, str]], None]


@dataclass
class Control:
    """Runs one rotation at a time, and tells each listening command how it goes."""

    stack: Stack
    tell: Tell
    _listeners: set[Listener] = field(default_factory=set)
    _running: asyncio.Task[None] | None = None
    _key: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one command, and write lines until its rotation or its client ends."""
        lines = asyncio.Queue[dict[str, str]]()
        try:
            if not _is_ours(writer):
                lines.put_nowait({"failed": "only the user that started the stack may rotate its keys"})
            else:
                self._begin((await reader.readline()).decode(errors="replace").strip(), lines.put_nowait)
            await _write_all(lines, writer)
        except (OSError, ValueError):
            pass  # the client has ended
        finally:
            self._listeners.discard(lines.put_nowait)
            writer.close()

    async def end(self) -> None:
        """Interrupt the rotation; the same command goes on in the next stack."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})

    def _begin(self, key: str, listener: Listener) -> None:
        if key not in ROTATIONS:
            listener({"failed": f"{key!r} is not a key: choose one of {', '.join(ROTATIONS)}"})
        elif self._running is not None:
            listener({"failed": f"a rotation of {self._key} runs already: wait until it has ended"})
        else:
            self._key = key
            self._listeners.add(listener)
            self._running = asyncio.create_task(self._rotate(key))

    async def _rotate(self, key: str) -> None:
        failed = "the stack stops: repeat the command when it runs again, and it goes on"
        try:
            await ROTATIONS[key](Local(self.stack, self._said))
            failed = ""
        except RotationFailed as error:
            failed = str(error)
        except Exception as error:  # noqa: BLE001 - told to the command, and the stack goes on
            failed = f"{type(error).__name__}: {error}; repair that, and repeat the command, which goes on"
        finally:
            self._running = None
            self.tell(f"rotation of {key}: {failed or 'done'}")
            self._inform({"failed": failed})

    def _said(self, text: str) -> None:
        self.tell(f"rotation of {self._key}: {text}")
        self._inform({"said": text})

    def _inform(self, line: dict[str, str]) -> None:
        for listener in self._listeners:
            listener(line)


@asynccontextmanager
async def controlled(stack: Stack, tell: Tell) -> AsyncIterator[None]:
    """Take commands for the stack until the end of the block; raises OSError."""
    control, path = Control(stack, tell), control_socket(stack.parts.directory)
    private_folder(path.parent)
    require_ours(path.parent, stack.parts.directory)
    path.parent.chmod(0o700)  # no other user enters it, also before the socket has its mode
    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(control.serve, path, limit=MAX_LINE)
    path.chmod(0o600)
    try:
        yield
    finally:
        server.close()
        await control.end()
        shutil.rmtree(path.parent, ignore_errors=True)


def control_socket(directory: Path) -> Path:
    """Return the path of the socket; that of a deep directory is in a temporary folder."""
    path = directory / "control" / NAME
    if len(os.fsencode(path)) <= MAX_PATH:
        return path
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"butler-control-{name}" / NAME


async def command(directory: Path, key: str) -> None:
    """Have the running stack rotate a key, and print its progress; raises RotationFailed."""
    path = control_socket(directory)
    try:
        require_ours(path.parent, directory)
        reader, writer = await asyncio.open_unix_connection(path, limit=MAX_LINE)
    except OSError:
        raise RotationFailed(f"no stack of `make up` runs on {directory}: start it first") from None
    try:
        writer.write(f"{key}\n".encode())
        while line := await reader.readline():
            told = json.loads(line)
            if "failed" in told:
                if told["failed"]:
                    raise RotationFailed(told["failed"])
                return
            print(told["said"], flush=True)
    except ConnectionError:
        pass
    finally:
        writer.close()
    raise RotationFailed("the stack has ended: start it, and repeat the command, which goes on")


async def _write_all(lines: asyncio.Queue[dict[str, str]], writer: asyncio.StreamWriter) -> None:
    """Write lines up to the last one; raises OSError if the client has ended."""
    line: dict[str, str] = {}
    while "failed" not in line:
        line = await lines.get()
        writer.write(json.dumps(line).encode() + b"\n")
        await writer.drain()


def _is_ours(writer: asyncio.StreamWriter) -> bool:
    """Return whether the client is of our user, where the system says it."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    with suppress(OSError):
        peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, option, PEER.size)
        return bool(PEER.unpack(peer)[1] == os.geteuid())
    return False

"""A program in the place of kubectl: each call is answered by the test, in its own process."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.kubernetes.manifests import Object

# A call fails with the words that its answer raises.
Answer = Callable[[Sequence[str], str], Awaitable[str]]
LIMIT = 2**20
PROGRAM = """#!{python} -SE
import json, socket, sys
asked = socket.socket(socket.AF_UNIX)
asked.connect({path!r})
given = sys.stdin.read() if "-" in sys.argv else ""
asked.sendall(json.dumps([sys.argv[1:], given]).encode() + b"\\n")
failed, text = json.loads(asked.makefile().readline())
(sys.stderr if failed else sys.stdout).write(text)
sys.exit(failed)
"""


class Refused(Exception):
    """A call fails with these words."""


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[str]:
    """Yield the path of a program whose calls this process answers."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        words, given = json.loads(await reader.readline())
        try:
            told = (0, await answer(words, given))
        except (Refused, AssertionError) as refused:
            told = (1, str(refused))
        writer.write(json.dumps(told).encode() + b"\n")
        await writer.drain()
        writer.close()

    with TemporaryDirectory() as directory:
        path, program = Path(directory) / "calls", Path(directory) / "kubectl"
        program.write_text(PROGRAM.format(python=sys.executable, path=str(path)))
        program.chmod(0o700)
        async with await asyncio.start_unix_server(serve, path, limit=LIMIT):
            yield os.fspath(program)


def applied(given: str) -> tuple[Object, ...]:
    """Return the objects of a call of apply."""
    return tuple(json.loads(given)["items"])

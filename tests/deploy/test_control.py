"""The socket of the running stack takes one rotation at a time, and only from its own user."""

import asyncio
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from deploy.local.control import command, control_socket, controlled
from deploy.local.services import Infrastructure
from deploy.local.sockets import MAX_PATH
from deploy.local.stack import Stack
from deploy.rotation import catalogue
from deploy.rotation.surroundings import RotationFailed, Surroundings
from tests.waiting import until


@pytest.fixture(name="directory", params=["stack", "deep" * (MAX_PATH // 4)])
def _directory(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    (tmp_path / request.param).mkdir()
    return tmp_path / str(request.param)


@pytest_asyncio.fixture(name="told")
async def _told(directory: Path) -> AsyncIterator[list[str]]:
    """Take commands for a stack of which no rotation here uses a part, and yield what its starter prints."""
    none: Any = None
    parts = Infrastructure(directory, none, none, none, simulator=None)
    told: list[str] = []
    async with controlled(Stack(none, parts, {}), told.append):
        yield told


@pytest.fixture(name="rotates")
def _rotates(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Surroundings], Awaitable[None]]], None]:
    """Return a function that sets what a rotation of `jwt` does."""
    rotations: Any = catalogue.ROTATIONS
    return lambda rotation: monkeypatch.setitem(rotations, "jwt", rotation)


async def test_a_command_prints_progress_and_ends_with_its_rotation(
    directory: Path, told: list[str], rotates: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The starter of the stack prints the same; the socket is open to its own user alone."""

    async def rotation(place: Surroundings) -> None:
        place.tell("a new key")

    rotates(rotation)
    await command(directory, "jwt")

    assert capsys.readouterr().out == "a new key\n"
    assert told == ["rotation of jwt: a new key", "rotation of jwt: done"]
    socket = control_socket(directory)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (socket, socket.parent)] == [0o600, 0o700]


async def test_one_rotation_runs_at_a_time_and_outlives_its_command(
    directory: Path, told: list[str], rotates: Any
) -> None:
    """A second command is refused until it has ended, also after the first command was interrupted."""
    begun, go = asyncio.Event(), asyncio.Event()

    async def rotation(_: Surroundings) -> None:
        begun.set()
        await go.wait()

    rotates(rotation)
    first = asyncio.create_task(command(directory, "jwt"))
    await begun.wait()
    first.cancel()
    await asyncio.wait({first})
    with pytest.raises(RotationFailed, match="a rotation of jwt runs already"):
        await command(directory, "grant")
    go.set()

    async def done() -> bool:
        return told == ["rotation of jwt: done"]

    await until(done)
    await command(directory, "jwt")


@pytest.mark.parametrize(
    "error", [RotationFailed("no room"), OSError("no room"), KeyError("no room")], ids=repr
)
async def test_an_error_is_told_and_the_stack_goes_on(
    directory: Path, told: list[str], rotates: Any, error: Exception
) -> None:
    """Whatever it is, the next command runs."""
    errors = [error]

    async def rotation(_: Surroundings) -> None:
        if errors:
            raise errors.pop()

    rotates(rotation)
    with pytest.raises(RotationFailed, match="no room"):
        await command(directory, "jwt")
    await command(directory, "jwt")

    assert [line.startswith("rotation of jwt: ") for line in told] == [True, True]


async def test_another_word_is_no_command(directory: Path, told: list[str]) -> None:
    """The answer names the keys."""
    with pytest.raises(RotationFailed, match=r"'key' is not a key: choose one of jwt, grant"):
        await command(directory, "key")
    assert not told


async def test_without_a_stack_a_command_says_so(directory: Path) -> None:
    """In one line."""
    with pytest.raises(RotationFailed, match="no stack of `make up` runs on"):
        await command(directory, "jwt")

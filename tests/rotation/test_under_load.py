"""A key is replaced while people use the system, and they notice nothing."""

import shutil
from pathlib import Path

import pytest

from deploy.rotation.catalogue import ROTATIONS
from tests.chaos.load import each_ended_once
from tests.joining import joined
from tests.rotation.conftest import Running, refresh
from tests.rotation.refusing import TRIES, opened
from tests.system.forging import claims_of
from tests.system.person import Person


def session(person: Person) -> str:
    """Return the session of a person's access token."""
    return str(claims_of(person.tokens["access_token"])["extras"]["family"])


@pytest.mark.parametrize("key", ROTATIONS)
async def test_no_sync_fails_and_no_session_ends(running: Running, tmp_path: Path, key: str) -> None:
    """No request fails, each accepted sync is completed and recorded once, and all stay signed in.

    A copy of the earlier keys opens nothing.
    """
    copy = shutil.copytree(running.stack.parts.directory / "keys", tmp_path / "copy")
    before = await opened(key, running.stack, copy)
    assert before or key not in TRIES
    sessions = [session(person) for person in running.people]
    load = running.load()
    async with load.running():
        await ROTATIONS[key](running.place)

    assert load.failed == {}
    async with await joined(running.stack.parts.nats, "admin") as bus:
        await each_ended_once(running.rows, bus, [*load.accepted])
    for person in running.people:
        await refresh(person)
        await person.get("/me")
    assert [session(person) for person in running.people] == sessions
    assert await opened(key, running.stack, copy) == set()

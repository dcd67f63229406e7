"""The commands of operators: the owner of the database makes tokens, the API settles dead letters."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.nats import Nats
from deploy.local.postgres import OWNER, Postgres
from deploy.local.stack import Stack
from deploy.private_files import write_private
from tests.joining import joined
from tests.system.operating import acts
from tests.system.test_dead_letters import bury
from tests.system.test_poison import SUBJECT, letters

SECONDS = 60


def ran(*line: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the repository."""
    return subprocess.run(
        [sys.executable, "-m", *line], capture_output=True, text=True, timeout=SECONDS, check=False
    )


@pytest.fixture(name="owner")
def _owner(database: Postgres) -> list[str]:
    """Return the command of the owner of the database."""
    url = database.url(OWNER)
    return [
        "deploy.database",
        "--url",
        url,
        "--password-file",
        str(database.password_file(OWNER)),
        "operator",
    ]


async def test_a_person_with_a_terminal_makes_an_operator_and_settles_dead_letters(
    stack: Stack, database: Postgres, clean_bus: Nats, owner: list[str], tmp_path: Path
) -> None:
    """The token is shown once; letters are listed, replayed, dropped; a revoked token is refused in words."""
    added = ran(*owner, "add", "--name", "grace", "--role", "operator")
    assert added.returncode == 0, added.stderr
    token = write_private(tmp_path / "token", added.stdout.splitlines()[-1].encode())
    command = ["deploy.dead_letters", "--url", stack.operations("gateway"), "--token-file", str(token)]
    async with await joined(clean_bus, "admin") as bus:
        event = await bury(bus, "butler.account.synced.x", b"{}")
        outcome = await bury(bus, SUBJECT, b"31415.92653", ce_id="some-id")

        shown = ran(*command, "list")
        replayed, refused = ran(*command, "replay", "--all"), ran(*command, "replay", str(event))
        dropped = ran(*command, "drop", str(event))

        assert [line.split()[0] for line in shown.stdout.splitlines()] == [str(event), str(outcome)]
        assert "31415" not in shown.stdout
        assert replayed.stdout.startswith("replayed 1; kept 1 that are no request or outcome of a sync")
        assert (refused.returncode, "not_replayable" in refused.stderr) == (1, True)
        assert dropped.returncode == 0, dropped.stderr
        assert ("grace", "dead_letter_dropped", str(event)) in await acts(database)
        # The gateway buries the replayed outcome again, because it still can not be read.
        assert await letters(bus) <= 1

    local = ["deploy.local", "operator"], ["--directory", str(stack.parts.directory)]
    assert ran(*local[0], "add", "--name", "ada", *local[1]).returncode == 0
    assert [line.split()[:2] for line in ran(*local[0], "list", *local[1]).stdout.splitlines()] == [
        ["ada", "viewer"],
        ["grace", "operator"],
    ]
    again = ran(*owner, "add", "--name", "grace")
    assert (again.returncode, "choose another name" in again.stderr) == (1, True)
    assert ran(*owner, "revoke", "grace").stdout == "grace is revoked\n"
    assert "grace  revoked " in ran(*owner, "list").stdout
    assert "operator_unauthorized" in ran(*command, "list").stderr

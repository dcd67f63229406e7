"""Services of tests are forks, unless a variable works only at their execution."""

import sys
from pathlib import Path

import pytest

from deploy.local.processes import PLAIN_ENVIRONMENT, Program
from tests.forking import Fork, ForkingProcesses

COMMAND = [sys.executable, "-m", "deploy.simulator", "--help"]


@pytest.mark.parametrize(
    ("ours", "given", "forks"),
    [
        ({}, {}, True),
        ({"PYTHONUNBUFFERED": "1"}, {}, True),
        ({"PYTHONHASHSEED": "7"}, {"PYTHONHASHSEED": "7"}, True),
        ({"PYTHONHASHSEED": "7"}, {}, False),
        ({}, {"PYTHONHASHSEED": "7"}, False),
        ({"MALLOC_ARENA_MAX": "2"}, {}, False),
    ],
)
async def test_a_program_is_a_fork_unless_its_variables_need_an_execution(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ours: dict[str, str],
    given: dict[str, str],
    *,
    forks: bool,
) -> None:
    """A variable of pytest stays in effect in a fork, also if the program does not have it."""
    for name in ("PYTHONHASHSEED", "MALLOC_ARENA_MAX"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    program = Program("simulator", COMMAND, {**PLAIN_ENVIRONMENT, **given})
    with (tmp_path / "output").open("wb") as output:
        process = await ForkingProcesses(tmp_path / "logs").launch(program, output)
    code = await process.wait()

    assert (isinstance(process, Fork), code) == (forks, 0)
    assert (tmp_path / "output").read_text().startswith("usage: python -m deploy.simulator")

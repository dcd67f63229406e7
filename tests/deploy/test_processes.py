"""Programs of the stack live as long as their starter, and their end is noticed."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from deploy.local.processes import PartFailed, Processes, Program

PYTHON = sys.executable
DEADLINE = 10
SLEEPER = [PYTHON, "-c", "import time; print('sleeping', flush=True); time.sleep(600)"]
STUBBORN = [PYTHON, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"]
# Starts a sleeper and prints its process id.
STARTER = """
import asyncio, sys
from pathlib import Path
from deploy.local.confinement import Reach, python
from deploy.local.processes import Processes, Program
async def main():
    reach = Reach("sync-worker", python()) if %s else None
    program = Program("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"], reach=reach)
    async with Processes(Path(sys.argv[1])).running(program) as process:
        print(process.pid, flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.fixture(name="own")
def _own(tmp_path: Path) -> Processes:
    return Processes(tmp_path)


@pytest.mark.parametrize("confined", [False, True])
def test_a_program_ends_when_its_starter_is_killed(tmp_path: Path, *, confined: bool) -> None:
    """Kill -9 of the starter also kills its children, including those of another user."""
    command = [PYTHON, "-c", STARTER % confined, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        started = psutil.Process(int(starter.stdout.readline()))
        starter.kill()

    _, alive = psutil.wait_procs([started], DEADLINE)

    assert alive == []


async def test_a_program_is_stopped_at_the_end_of_its_block(own: Processes) -> None:
    """Leaving the block stops the program, and waits for its end."""
    async with own.running(Program("sleeper", SLEEPER)) as process:
        assert process.returncode is None

    assert process.returncode == -signal.SIGTERM


async def test_a_program_that_ends_on_its_own_is_named_with_its_last_words(own: Processes) -> None:
    """The error of a wait names the part that ended, its exit, and its last output."""
    failing = Program("grumbler", [PYTHON, "-c", "print('no more'); raise SystemExit(3)"])

    async with own.running(failing), own.running(Program("sleeper", SLEEPER)):
        with pytest.raises(PartFailed, match=r"(?s)grumbler ended with exit code 3.*no more"):
            await asyncio.wait_for(own.failure(), DEADLINE)


async def test_a_part_that_is_never_ready_is_named(own: Processes) -> None:
    """Waiting has a deadline."""

    async def never() -> bool:
        return False

    async with own.running(Program("sleeper", SLEEPER)):
        with pytest.raises(PartFailed, match="sleeper was not ready within 0 s"):
            await own.until("sleeper", never, 0.2)


async def test_a_step_that_fails_or_takes_too_long_is_named(own: Processes) -> None:
    """A step of the start has an exit code and a deadline."""
    with pytest.raises(PartFailed, match="step ended with exit code 7"):
        await own.run(Program("step", [PYTHON, "-c", "raise SystemExit(7)"]), DEADLINE)

    with pytest.raises(PartFailed, match="step did not end within"):
        await own.run(Program("step", SLEEPER), 0.2)


async def test_the_log_of_the_run_before_is_kept(own: Processes) -> None:
    """A restart keeps the log of a crash, and a log covers at most two runs."""
    for word in ("first", "second"):
        await own.run(Program("step", [PYTHON, "-c", f"print('{word}')"]), DEADLINE)

    assert (own.logs / "step.log").read_text() == "second\n"
    assert (own.logs / "step.log.old").read_text() == "first\n"

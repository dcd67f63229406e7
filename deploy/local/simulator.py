"""The simulated exchanges as a program of the stack."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from deploy.local.confinement import ROOT, Reach, python
from deploy.local.processes import Processes, Program
from deploy.private_files import private_folder

READY_SECONDS = 30


class Simulator(msgspec.Struct, frozen=True):
    """The addresses of each simulated exchange's regions, and the authority of their certificates.

    `admin` is the address that switches faults on, if it was requested.
    """

    exchanges: dict[str, dict[str, str]]
    ca: str
    admin: str | None = None


def _reach(home: Path, options: Sequence[str | Path]) -> Reach:
    """Return the access of the simulator: its code, the files of its options, and its folder."""
    files = (option for option in options if isinstance(option, Path))
    # Python finds `deploy` by listing its parent folder.
    return Reach("exchange", (*python(), ROOT / "deploy", *files), (home,), (ROOT,))


@asynccontextmanager
async def running_simulator(
    processes: Processes, directory: Path, options: Sequence[str | Path] = ()
) -> AsyncIterator[Simulator]:
    """Run the simulated exchanges on free ports, with keys in `directory/exchange`; raises PartFailed."""
    home = processes.way.hand_over(private_folder(directory / "exchange"), "exchange")
    address = home / "address.json"
    address.unlink(missing_ok=True)

    async def listens() -> bool:
        return address.exists()

    command = [sys.executable, "-m", "deploy.simulator", "--directory", home, *options]
    program = Program("exchange", command, reach=_reach(home, options))
    async with processes.running(program):
        await processes.until("exchange", listens, READY_SECONDS)
        told = msgspec.json.decode(address.read_bytes(), type=Simulator)
        yield msgspec.structs.replace(told, ca=str(home / "ca.pem"))  # not a path that it chose

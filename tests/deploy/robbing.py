"""Running a thief's code in the place of a service; `python -m` robs a stack of its own as another user."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from deploy.local.confinement import Reach, Way, python
from deploy.local.processes import Processes, Program
from deploy.local.services import MODULES, own_folder, programs, service_ports
from deploy.local.stack import Stack, running_stack

THIEF = Path(__file__).with_name("thief.py")
SECONDS = 60.0
SERVICES = tuple(MODULES)
PARTS = (*SERVICES, "nats", "openbao", "postgres", "exchange")


@dataclass(frozen=True)
class Loot:
    """What a thief could open: files of the stack, also as others see them, of the system, and processes."""

    files: list[str]
    views: list[str]
    system: list[str]
    processes: list[tuple[int, str]]


async def robbed(stack: Stack, service: str, way: Way) -> Loot:
    """Run the thief in the place of a service, kept apart in this way, and return what it got."""
    program = next(each for each in programs(stack.parts, service_ports(), way) if each.name == service)
    return await attempted(stack, program, way)


async def attempted(stack: Stack, program: Program, way: Way) -> Loot:
    """Run the thief in the place of a program."""
    directory = stack.parts.directory
    known = [str(path) for path in files(directory)]
    # A server that is not ours does not hide from its own user; what it opens is its own anyway.
    others = [number for name, number in ids(stack).items() if name in SERVICES or name != program.name]
    arguments = [str(directory), json.dumps([os.getpid(), *others]), json.dumps(known)]
    command = [sys.executable, "-c", THIEF.read_text(), *arguments]
    processes = Processes(directory / "thieves", way)
    await processes.run(replace(program, name="thief", command=command), SECONDS)
    return Loot(**json.loads((processes.logs / "thief.log").read_text()))


def with_python(program: Program) -> Program:
    """Let a program that is not ours run an interpreter, too, which it could bring along."""
    assert program.reach is not None
    reach = program.reach
    return replace(program, reach=Reach(reach.role, (*reach.readable, *python()), reach.writable))


def ids(stack: Stack) -> dict[str, int]:
    """Return the process id of each part of the stack."""
    return {name: int((stack.processes.logs / f"{name}.pid").read_text()) for name in PARTS}


def files(directory: Path) -> Iterator[Path]:
    """Yield the files of a stack, but not each one of the database and of what was robbed before."""
    for path in sorted(directory.rglob("*")):
        inside = path.relative_to(directory).parts
        if path.is_file() and inside[:2] != ("postgres", "data") and inside[0] != "thieves":
            yield path


def own_files(directory: Path, service: str) -> list[str]:
    """Return the files of a service's own folder."""
    return sorted(str(path) for path in own_folder(directory, service).iterdir())


async def main(directory: Path) -> None:
    """Run a stack, rob it as each service and print what was got, after the way that the stack names."""
    told: list[str] = []
    async with running_stack(directory, told.append, simulated=True) as stack:
        for service in SERVICES:
            loot = await robbed(stack, service, stack.processes.way)
            said = {"service": service, "own": own_files(directory, service), "told": told, **asdict(loot)}
            sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

"""Back up and restore the local stack.

`python -m deploy.backup follow` writes the database's WAL and the list of destroyed credentials while the
stack runs, `... take` takes a base backup of the database and a snapshot of the vault, and `... restore` goes
back to them while the stack is stopped.
"""

import argparse
import asyncio
import signal
import sys
from datetime import datetime
from pathlib import Path

import httpx
import psycopg

from deploy.backup.files import Backups, NoBackup, newest
from deploy.backup.restore import Wanted, restore
from deploy.backup.take import follow, take
from deploy.local.confinement import best_way
from deploy.local.ownership import NotRoots, require_own
from deploy.local.processes import PartFailed, Processes
from deploy.local.stack import DirectoryInUse, alone

REFUSALS = (NoBackup, PartFailed, DirectoryInUse, NotRoots, httpx.HTTPError, psycopg.Error, OSError)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.backup", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    follow_, take_, restore_ = (commands.add_parser(name) for name in ("follow", "take", "restore"))
    for each in (follow_, take_, restore_):
        each.add_argument("--directory", type=Path, default=Path(".butler"), help="of the stack")
        each.add_argument("--backups", type=Path, required=True, help="the folder of the backups")
    for each in (follow_, restore_):
        each.add_argument(
            "--destroyed",
            type=Path,
            required=True,
            help="the list of destroyed credentials; keep it on another disk than the backups",
        )
    restore_.add_argument("--database", action="store_true", help="restore the database")
    restore_.add_argument(
        "--until",
        type=_moment,
        help="the moment of the database, as 2026-11-28T12:00:00+00:00; else the last",
    )
    restore_.add_argument("--vault", action="store_true", help="restore the vault")
    restore_.add_argument(
        "--vault-until", type=_moment, help="take the newest snapshot up to this moment; else the newest"
    )
    restore_.add_argument(
        "--destroy-orphans",
        action="store_true",
        help="destroy credentials that the restored database does not know; a later restore lacks them",
    )
    return parser.parse_args()


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError("the moment needs its offset, as +00:00")
    return moment


async def run(options: argparse.Namespace) -> None:
    """Run the command until its end or a signal."""
    command = asyncio.current_task()
    assert command is not None  # noqa: S101 - asyncio.run makes one
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, command.cancel)
    directory, backups = options.directory.resolve(), Backups(options.backups.resolve())
    require_own(directory)
    if options.command == "restore":
        snapshot = newest(backups.snapshots, options.vault_until) if options.vault else None
        wanted = Wanted(options.destroyed, options.database, options.until, snapshot, options.destroy_orphans)
        with alone(directory):
            processes = Processes(directory / "logs", best_way(directory))
            await restore(processes, directory, backups, wanted, print)
    elif options.command == "take":
        processes = Processes(directory / "logs" / "backup")
        await take(processes, directory, backups)
    else:
        await follow(Processes(directory / "logs" / "following"), directory, backups, options.destroyed)


def main() -> int:
    """Run a command; an expected failure is printed and returns exit code 1."""
    try:
        asyncio.run(run(arguments()))
    except asyncio.CancelledError:
        return 0
    except REFUSALS as error:
        print(f"Not done: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

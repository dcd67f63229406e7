"""Backing up the local stack while it runs."""

import asyncio
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from deploy.backup.database import receiving_wal, take_base
from deploy.backup.destroyed import Destroyed
from deploy.backup.files import Backups, stamp
from deploy.local.openbao import OpenBao, backup_login
from deploy.local.postgres import SUPERUSER, Postgres
from deploy.local.processes import Processes
from deploy.private_files import write_private
from deploy.vault.snapshots import take_snapshot

FOLLOW_SECONDS = 1.0
CALL_SECONDS = 60


async def take(processes: Processes, directory: Path, backups: Backups) -> None:
    """Take a base backup of the database, and then a snapshot of the vault.

    In this order the snapshot holds the key of every account of the base, unless it was destroyed meanwhile.
    Raises PartFailed, OSError and httpx.HTTPError.
    """
    await take_base(processes, Postgres.of(directory), backups)
    async with OpenBao.of(directory).client(CALL_SECONDS) as client:
        snapshot = await take_snapshot(client, backup_login(directory))
    write_private(backups.snapshots / stamp(datetime.now(UTC)), snapshot)


async def follow(processes: Processes, directory: Path, backups: Backups, destroyed: Path) -> NoReturn:
    """Write the WAL and the list of destroyed credentials until cancelled.

    Raises PartFailed and psycopg.Error when the database goes away, and OSError when the list does.
    """
    server = Postgres.of(directory)
    with closing(Destroyed(destroyed)) as notes:
        async with receiving_wal(processes, server, backups), await server.connect(SUPERUSER) as connection:
            while True:
                await notes.note(connection)
                processes.missing()
                await asyncio.sleep(FOLLOW_SECONDS)

"""Restoring the local stack while it is stopped: database, vault, and then what both must agree on."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

import httpx

from deploy.backup.database import recover
from deploy.backup.destroyed import destroyed_in, listed
from deploy.backup.files import Backups, base_until, moment_of
from deploy.backup.settle import Restored, credentials_of, settle
from deploy.backup.vault import credentials_in, destroy, vault_as_root
from deploy.local.postgres import SUPERUSER, running_postgres
from deploy.local.processes import Processes
from deploy.local.restoring import begun, restoring

Tell = Callable[[str], None]
OPERATORS = (
    "all operators are revoked: add them anew; users that were disabled since are enabled again, and "
    "exchanges that were paused since are not: check both"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to restore: the database if `database`, the vault if there is a snapshot; both may stay.

    `until` is the moment to which the database goes back, by default the last one in its WAL. `destroyed` is
    the list of credentials that may not sign again. `orphans` are credentials of the vault that the database
    does not know.
    """

    destroyed: Path
    database: bool = False
    until: datetime | None = None
    snapshot: Path | None = None
    destroy_orphans: bool = False


async def restore(
    processes: Processes, directory: Path, backups: Backups, wanted: Wanted, tell: Tell
) -> None:
    """Restore a stack that does not run; after a failure it does not start until a restore is complete.

    Raises NoBackup, PartFailed, OSError, psycopg.Error and httpx.HTTPError.
    """
    # Before anything changes, because no restore works without the list and a base.
    replayed = listed(wanted.destroyed)
    base = base_until(backups, wanted.until, begun(directory)) if wanted.database else None
    processes.way.let_pass(directory)
    processes.way.take_all_back(directory)
    with restoring(directory):
        database_at = None
        if base is not None:
            database_at = await recover(processes, directory, backups, base, wanted.until)
            tell(f"the database is that of {database_at}")
        async with (
            running_postgres(processes, directory) as server,
            await server.connect(SUPERUSER) as connection,
            vault_as_root(processes, directory, wanted.snapshot) as vault,
        ):
            replayed |= await destroyed_in(connection)
            await _destroy_again(vault, replayed, tell)
            await _treat_orphans(vault, await credentials_of(connection), wanted, tell)
            vault_at = moment_of(wanted.snapshot) if wanted.snapshot else None
            missing = await settle(connection, Restored(database_at, vault_at), await credentials_in(vault))
            tell(f"{missing} accounts need their key again, because the vault does not hold it")
            if database_at is not None:
                tell(OPERATORS)


async def _destroy_again(vault: httpx.AsyncClient, doomed: frozenset[UUID], tell: Tell) -> None:
    again = doomed & await credentials_in(vault)
    await destroy(vault, again)
    tell(f"{len(doomed)} credentials may not sign again; {len(again)} had to be destroyed again")


async def _treat_orphans(
    vault: httpx.AsyncClient, known: frozenset[UUID], wanted: Wanted, tell: Tell
) -> None:
    orphans = await credentials_in(vault) - known
    if wanted.destroy_orphans:
        await destroy(vault, orphans)
    kept = "destroyed" if wanted.destroy_orphans else "kept: --destroy-orphans destroys them"
    tell(f"{len(orphans)} credentials in the vault that the database does not know, {kept}")

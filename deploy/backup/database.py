"""Backups of the local stack's database: a base, the WAL that follows it, and recovery to a moment."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from deploy.backup.files import Backups, moment_of, stamp
from deploy.database.roles import Connection, set_password
from deploy.local.confinement import DATABASE as ROLE
from deploy.local.postgres import SCRAM, SUPERUSER, Postgres, recovering_postgres, tool
from deploy.local.processes import PLAIN_ENVIRONMENT, Processes, Program
from deploy.local.restoring import set_aside
from deploy.local.sockets import PORT, private_starter, remove_short, socket_folders

BASE_SECONDS, RECOVERY_SECONDS = 3600.0, 3600.0
# The server keeps WAL for a receiver that is away, and gives it up before its disk is full of it.
SLOT, KEPT_FOR_SLOT = "backup", "1GB"
PARTIAL = ".partial"
# The recovering server has a socket in a folder that only its user and root can enter.
HBA = "local all all trust\n"


async def take_base(processes: Processes, server: Postgres, backups: Backups) -> Path:
    """Take a base backup and check its hashes; raises PartFailed."""
    draft = backups.bases / "base.new"
    shutil.rmtree(draft, ignore_errors=True)
    await processes.run(
        _client(server, "pg_basebackup", "--pgdata", draft, "--checkpoint", "fast", "--no-password"),
        BASE_SECONDS,
    )
    await processes.run(Program("pg_verifybackup", [tool("pg_verifybackup"), draft]), BASE_SECONDS)
    return draft.rename(backups.bases / stamp(datetime.now(UTC)))


@asynccontextmanager
async def receiving_wal(processes: Processes, server: Postgres, backups: Backups) -> AsyncIterator[None]:
    """Write the WAL to the backups as the server writes it; raises PartFailed and psycopg.Error."""
    async with await server.connect(SUPERUSER) as connection:
        await connection.execute(f"alter system set max_slot_wal_keep_size = '{KEPT_FOR_SLOT}'")
        await connection.execute("select pg_reload_conf()")
        await connection.execute(
            """select pg_create_physical_replication_slot(%(name)s, true) where not exists
               (select 1 from pg_replication_slots where slot_name = %(name)s)""",
            {"name": SLOT},
        )
    options = ("--directory", backups.wal, "--slot", SLOT, "--synchronous", "--no-loop", "--no-password")
    async with processes.running(_client(server, "pg_receivewal", *options)):
        yield


async def recover(
    processes: Processes, directory: Path, backups: Backups, base: Path, until: datetime | None
) -> datetime:
    """Replace the data by those of a moment after a base, by default of the last one in its WAL.

    Returns the time of the last transaction in them. Raises OSError, PartFailed and psycopg.Error.
    """
    home = directory / "postgres"
    draft = home / "data.new"
    processes.way.take_back(draft)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)  # before its content, whose modes are set after it is written
    shutil.copytree(base, draft, dirs_exist_ok=True)
    _add_wal(backups.wal_of(base), draft / "pg_wal", since=base.stat().st_mtime)
    (draft / "recovery.signal").touch()
    (draft / "recovery.hba").write_text(HBA)
    draft.chmod(0o700)
    processes.way.let_pass(home)
    processes.way.hand_over(draft, ROLE)
    reached = await _recovered(processes, draft, Postgres(PORT, directory / "keys"), until)
    backups.close_wal(datetime.now(UTC))
    set_aside(home / "data")
    draft.rename(home / "data")
    return reached or moment_of(base)


async def _recovered(
    processes: Processes, data: Path, server: Postgres, until: datetime | None
) -> datetime | None:
    """Recover the data, and give the superuser the password of the stack's file, which may be newer."""
    sockets = socket_folders(processes.way, data.parent)
    own = private_starter(sockets)
    program = recovering_postgres(data, own, _settings(data, until))
    async with processes.running(program):
        await processes.until(program.name, lambda: _promoted(own), RECOVERY_SECONDS)
        async with await _connect(own) as connection:
            await set_password(connection, SUPERUSER, server.password_file(SUPERUSER).read_bytes())
            found = await connection.execute("select pg_last_xact_replay_timestamp()")
            (reached,) = await found.fetchone() or (None,)
            assert reached is None or isinstance(reached, datetime)  # noqa: S101 - its type in the database
    remove_short(sockets, data.parent)
    return reached


def _settings(data: Path, until: datetime | None) -> dict[str, str | Path]:
    target = {"recovery_target_time": until.isoformat()} if until else {}
    return {
        "hba_file": data / "recovery.hba",
        "restore_command": "false",  # all WAL is in pg_wal
        "recovery_target_timeline": "current",
        "recovery_target_action": "promote",
        **target,
    }


def _add_wal(archive: Path, target: Path, since: float) -> None:
    """Copy the WAL beside that of the base; a segment that was being written counts if it is newer."""
    for path in sorted(archive.iterdir()):
        copy = target / path.name.removesuffix(PARTIAL)
        if path.suffix != PARTIAL or not copy.exists() or path.stat().st_mtime >= since:
            shutil.copy2(path, copy)


async def _promoted(sockets: Path) -> bool:
    try:
        async with await _connect(sockets) as connection:
            found = await connection.execute("select pg_is_in_recovery()")
            return await found.fetchone() == (False,)
    except psycopg.OperationalError:
        return False


async def _connect(sockets: Path) -> Connection:
    return await psycopg.AsyncConnection.connect(
        host=str(sockets), port=PORT, user=SUPERUSER, dbname="postgres", autocommit=True
    )


def _client(server: Postgres, name: str, *options: str | Path) -> Program:
    """Return a program that connects to the server as its superuser."""
    connection = {
        "PGHOST": server.host(),
        "PGPORT": str(server.port),
        "PGUSER": SUPERUSER,
        "PGREQUIREAUTH": SCRAM,
        "PGPASSWORD": server.password_file(SUPERUSER).read_text(),
    }
    return Program(name, [tool(name), *options], {**PLAIN_ENVIRONMENT, **connection})

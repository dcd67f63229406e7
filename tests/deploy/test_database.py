"""`python -m deploy.database` migrates a database of an existing server, and lets the gateway log in."""

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest
import pytest_asyncio

from deploy.local.confinement import USERS, best_way
from deploy.local.postgres import DATABASE, GATEWAY, OWNER, SUPERUSER, Postgres, running_postgres
from deploy.local.processes import Processes
from deploy.local.sockets import CLIENTS, MAX_PATH, NAME, remove_short, socket_folders
from deploy.local.veil import _may_enter
from deploy.private_files import write_private

SECONDS = 60


@pytest_asyncio.fixture(name="server", scope="module")
async def _server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    directory = tmp_path_factory.mktemp("database")
    async with running_postgres(Processes(directory / "logs"), directory) as server:
        yield server


@pytest_asyncio.fixture(name="empty")
async def _empty(server: Postgres) -> AsyncIterator[str]:
    """Yield the name of an empty database of the owner."""
    async with await server.connect(SUPERUSER, "postgres") as connection:
        await connection.execute("create database another owner butler_owner")
        yield "another"
        await connection.execute("drop database another with (force)")


def ran(server: Postgres, database: str, **changed: str) -> subprocess.CompletedProcess[str]:
    """Run the command on a database as its owner."""
    options = {
        "url": server.url(OWNER).replace(f"/{DATABASE}?", f"/{database}?"),
        "password-file": str(server.password_file(OWNER)),
        **changed,
    }
    command = [
        sys.executable,
        "-m",
        "deploy.database",
        *(f"--{name}={value}" for name, value in options.items()),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)


async def test_an_empty_database_gets_the_schema_and_the_gateways_login(
    server: Postgres, empty: str, tmp_path: Path
) -> None:
    """The owner of the database, without superuser rights, creates both; a second run changes nothing."""
    password = write_private(tmp_path / "password", b"another password\n")
    for _ in range(2):
        finished = ran(server, empty, **{"gateway-password-file": str(password)})
        assert finished.returncode == 0, finished.stderr

    async with await psycopg.AsyncConnection.connect(
        host=server.host(), port=server.port, user=GATEWAY, password="another password", dbname=empty
    ) as connection:
        found = await (await connection.execute("select count(*) from users")).fetchone()
    assert found == (0,)


async def test_a_failure_is_told_in_one_line_without_the_password(
    server: Postgres, empty: str, tmp_path: Path
) -> None:
    """The log of a Job shows neither the password nor a traceback."""
    wrong = write_private(tmp_path / "wrong", b"a wrong password of the owner")
    for changed in (
        {"password-file": str(wrong)},
        {"password-file": "/nowhere"},
        {"url": "postgresql://h/d"},
    ):
        finished = ran(server, empty, **changed)

        assert finished.returncode == 1
        assert finished.stderr.splitlines()[-1].startswith("the database is not migrated: ")
        assert "Traceback" not in finished.stderr
        assert "a wrong password" not in finished.stdout + finished.stderr


def test_the_database_has_no_port(server: Postgres) -> None:
    """No plain connection reaches it: it listens in folders that are closed to all but its clients."""
    process = psutil.Process(int((server.keys.parent / "logs" / "postgres.pid").read_text()))
    assert server.sockets is not None

    for each in (process, *process.children()):
        with suppress(psutil.NoSuchProcess):  # the server's workers come and go
            assert each.net_connections("inet") == []
    assert {path.name for path in server.sockets.iterdir()} == {*CLIENTS}
    for client in CLIENTS:
        assert (server.sockets / client / NAME).is_socket()
        folder = (server.sockets / client).stat()
        entering = {role for role, user in USERS.items() if _may_enter(folder, user, user)}
        assert entering <= {client}


def test_the_path_of_a_socket_is_short_enough_for_the_kernel(tmp_path: Path) -> None:
    """In a deep folder the sockets are in the system's one for temporary files, and are removed there."""
    home = tmp_path / ("deep" * 20)
    home.mkdir()

    base = socket_folders(best_way(), home)

    assert len(str(base / "gateway" / NAME)) <= MAX_PATH
    assert base == socket_folders(best_way(), home)
    remove_short(base, home)
    assert not base.exists()

"""Starts the usual stack beside ours, at the same exchange, vault server and database server."""

import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from uuid import NAMESPACE_OID, UUID, uuid5

import httpx
import jwt
from psycopg import sql

from deploy.local.confinement import ROOT
from deploy.local.openbao import openbao_of_restore, running_openbao, until_active
from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.postgres import SUPERUSER, Postgres
from deploy.local.processes import PLAIN_ENVIRONMENT, PartFailed, Processes, Program
from deploy.local.services import Infrastructure
from deploy.private_files import kept, password, write_private
from deploy.vault.root_token import as_root, recovered_root_token
from tests.bench.rival.settings import VARIABLE, Settings
from tests.waiting import until

NAME = "rival"
READY_SECONDS = 60
SCHEMA = Path(__file__).with_name("schema.sql")
POLICY = f'path "{NAME}/data/*" {{ capabilities = ["read"] }}'
# A token as a vault agent hands it over.
TOKEN = {"policies": [NAME], "no_parent": True, "period": "768h", "no_default_policy": True}
USERS = 64


@dataclass(frozen=True)
class Shape:
    """The number of processes, the kind of Celery's pool (gevent, threads or prefork), and its size."""

    apis: int = 1
    workers: int = 2
    pool: str = "gevent"
    at_once: int = 64


@dataclass(frozen=True)
class Rival:
    """The running stack: its API's port, and the key of its tokens."""

    port: int
    jwt_key: str

    def request(self, name: str, *, funding: bool) -> bytes:
        """Return a request to sync an account, as bytes to send."""
        account, user = account_of(name)
        token = jwt.encode({"sub": str(user)}, self.jwt_key, algorithm="HS256")
        query = "?funding=1" if funding else ""
        return (
            f"POST /accounts/{account}/sync{query} HTTP/1.1\r\nHost: {LOOPBACK}\r\n"
            f"Authorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"
        ).encode()


def account_of(name: str) -> tuple[UUID, UUID]:
    """Return the ids of an account and its user."""
    account = uuid5(NAMESPACE_OID, name)
    return account, UUID(int=account.int % USERS)


def python() -> Path:
    """Return the interpreter of the bench's virtual environment."""
    return Path(sys.executable).parent.parent / "bench" / "bin" / "python"


async def prepare_vault(
    processes: Processes, directory: Path, credentials: Mapping[str, Mapping[str, str]]
) -> None:
    """Keep each account's credentials in the vault's KV engine, before the stack starts the vault."""
    token_file = directory / "keys" / f"{NAME}.token"
    async with running_openbao(processes, directory):
        pass
    async with openbao_of_restore(processes, directory) as client:
        await until_active(processes, client)
        token = await recovered_root_token(client, directory / "openbao" / "recovery.key")
        async with as_root(client, token):
            mounts = (await client.get("sys/mounts")).raise_for_status().json()
            if f"{NAME}/" not in mounts["data"]:
                engine = {"type": "kv", "options": {"version": "2"}}
                (await client.post(f"sys/mounts/{NAME}", json=engine)).raise_for_status()
                await until(partial(_is_ready, client))
            (await client.put(f"sys/policies/acl/{NAME}", json={"policy": POLICY})).raise_for_status()
            made = (await client.post("auth/token/create", json=TOKEN)).raise_for_status().json()
            await _keep(client, credentials)
    write_private(token_file, made["auth"]["client_token"].encode())


async def _is_ready(client: httpx.AsyncClient) -> bool:
    """Return whether the new engine takes writes: it refuses them for a moment."""
    return (await client.get(f"{NAME}/config")).is_success


async def _keep(client: httpx.AsyncClient, credentials: Mapping[str, Mapping[str, str]]) -> None:
    for name, fields in credentials.items():
        data = {
            "apiKey": fields["api_key"],
            "secret": fields["api_secret"],
            "password": fields["passphrase"],
        }
        path = f"{NAME}/data/{account_of(name)[0]}"
        (await client.post(path, json={"data": data})).raise_for_status()


async def prepare_database(database: Postgres, names: list[str]) -> str:
    """Create the database with its accounts, and return its address."""
    secret = kept(database.password_file(NAME), password)
    name = sql.Identifier(NAME)
    async with await database.connect(SUPERUSER, "postgres") as connection:
        found = await connection.execute("select from pg_database where datname = %s", [NAME])
        if found.rowcount == 0:
            await connection.execute(sql.SQL("create role {} login").format(name))
            await connection.execute(sql.SQL("create database {} owner {}").format(name, name))
        word = sql.Literal(secret.read_text())
        await connection.execute(sql.SQL("alter role {} password {}").format(name, word))
    async with await database.connect(NAME, NAME) as connection:
        await connection.execute(SCHEMA.read_bytes())
        rows = [(*account_of(each), each) for each in names]
        async with connection.cursor() as cursor:
            await cursor.executemany("insert into accounts values (%s, %s, %s) on conflict do nothing", rows)
    return (
        f"host={database.host()} port={database.port} user={NAME} dbname={NAME} password={secret.read_text()}"
    )


@asynccontextmanager
async def running_rival(
    processes: Processes, parts: Infrastructure, names: list[str], shape: Shape
) -> AsyncIterator[Rival]:
    """Run Redis, the API and the workers until they answer a sync; raises PartFailed."""
    assert parts.simulator is not None
    home, (port,) = parts.directory / NAME, free_ports(1)
    home.mkdir(mode=0o700, exist_ok=True)
    told = Settings(
        database=await prepare_database(parts.database, names),
        redis=f"/tmp/rival-{os.getpid()}.sock",  # noqa: S108 - the path of a socket is short
        vault=parts.vault.url,
        vault_ca=str(parts.vault.ca),
        vault_token=(parts.directory / "keys" / f"{NAME}.token").read_text(),
        exchange=parts.simulator.exchanges["okx"]["global"].removeprefix("https://"),
        exchange_ca=parts.simulator.ca,
        jwt_key=kept(parts.directory / "keys" / f"{NAME}.jwt", password).read_text(),
        at_once=shape.at_once,
    )
    file = write_private(home / "settings.json", json.dumps(asdict(told)).encode())
    environment = {**PLAIN_ENVIRONMENT, "PYTHONPATH": str(ROOT), VARIABLE: str(file)}
    rival = Rival(port, told.jwt_key)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(processes.running(_redis(home, told.redis)))
        await processes.until("redis", _exists(Path(told.redis)), READY_SECONDS)
        for program in (_api(port, environment, shape), *_workers(environment, shape)):
            await stack.enter_async_context(processes.running(program))
        async with httpx.AsyncClient(timeout=READY_SECONDS, trust_env=False) as client:
            await processes.until("rival-api", lambda: _answers(client, port), READY_SECONDS)
        yield rival


def _exists(path: Path) -> Callable[[], Awaitable[bool]]:
    async def exists() -> bool:
        return path.exists()

    return exists


async def _answers(client: httpx.AsyncClient, port: int) -> bool:
    try:
        return (await client.get(f"http://{LOOPBACK}:{port}/healthz")).is_success
    except httpx.TransportError:
        return False


def _redis(home: Path, socket: str) -> Program:
    """Return a Redis on a socket that keeps nothing on the disk, which is the fastest."""
    server = shutil.which("redis-server")
    if server is None:
        raise PartFailed("The bench needs redis-server: install it with `apt-get install redis-server`")
    memory_only = ["--save", "", "--appendonly", "no", "--dir", str(home)]
    return Program("rival-redis", [server, "--port", "0", "--unixsocket", socket, *memory_only])


def _api(port: int, environment: Mapping[str, str], shape: Shape) -> Program:
    command: list[str | Path] = [
        *(python(), "-m", "uvicorn", "tests.bench.rival.api:app", "--port", str(port)),
        *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"),
        *("--timeout-keep-alive", "75"),  # a client of `added` pauses for longer than the default of 5 s
        *("--workers", str(shape.apis)),
    ]
    return Program("rival-api", command, environment)


def _workers(environment: Mapping[str, str], shape: Shape) -> list[Program]:
    """Return the workers; one process forks by itself with `prefork`."""
    count = 1 if shape.pool == "prefork" else shape.workers
    base = [str(python()), "-m", "celery", "-A", "tests.bench.rival.tasks:queue", "worker", "-l", "warning"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return [
        Program(
            f"rival-worker-{number}",
            [*base, *quiet, "-P", shape.pool, "-c", str(shape.at_once), "-n", f"worker{number}@%h"],
            environment,
        )
        for number in range(count)
    ]

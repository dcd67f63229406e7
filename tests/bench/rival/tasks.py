"""The worker of the usual stack: secret from the vault, balances from the exchange, result to PostgreSQL."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

import ccxt
import hvac
import requests
from hvac.exceptions import VaultError
from psycopg_pool import ConnectionPool
from redis import Redis
from requests.adapters import HTTPAdapter

from tests.bench.rival.queue import SYNC, make_queue
from tests.bench.rival.settings import settings

MOUNT = "rival"
STORE = """
with asked (wallet, asset, total, free, used) as (
    select * from unnest(%(wallets)s::text[], %(assets)s::text[], %(total)s::numeric[], %(free)s::numeric[],
        %(used)s::numeric[])
), done as (
    update syncs set status = 'completed', finished_at = now() where id = %(sync)s
), gone as (
    delete from balances b where account_id = %(account)s and wallet = any(%(read)s)
        and not exists (select from asked a where a.wallet = b.wallet and a.asset = b.asset)
)
insert into balances (account_id, wallet, asset, total, free, used, updated_at)
select %(account)s, wallet, asset, total, free, used, now() from asked
on conflict (account_id, wallet, asset) do update
    set total = excluded.total, free = excluded.free, used = excluded.used, updated_at = excluded.updated_at
"""
FAIL = "update syncs set status = 'failed', finished_at = now(), error = %s where id = %s"
FREE: list[Any] = []
OPENING = Lock()


class Trusting(HTTPAdapter):
    """Trusts one authority, which ccxt has no option for."""

    def __init__(self, ca: str) -> None:
        super().__init__(pool_connections=4, pool_maxsize=settings().at_once)
        self._ca = ca

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send a request."""
        return super().send(request, *args, **options | {"verify": self._ca})


def session(ca: str) -> requests.Session:
    """Return a session that keeps as many connections alive as tasks run at once."""
    made = requests.Session()
    made.mount("https://", Trusting(ca))
    made.trust_env = False
    return made


@cache
def vault() -> hvac.Client:
    """Return the client of the vault."""
    told = settings()
    return hvac.Client(told.vault, token=told.vault_token, session=session(told.vault_ca))


def database() -> ConnectionPool:
    """Return the pool of connections; the first tasks come at once, and one of them opens it."""
    with OPENING:
        return opened_pool()


@cache
def opened_pool() -> ConnectionPool:
    """Open the pool."""
    return ConnectionPool(settings().database, min_size=2, max_size=8, kwargs={"autocommit": True}, open=True)


@cache
def redis() -> Redis:
    """Return the client that publishes results."""
    return Redis(unix_socket_path=settings().redis)


@cache
def exchange_session() -> requests.Session:
    """Return the session that all clients of the exchange share."""
    return session(settings().exchange_ca)


@contextmanager
def exchange(credentials: dict[str, str]) -> Iterator[Any]:
    """Yield a client for an account: a free one with other credentials, because a new one takes long."""
    client = FREE.pop() if FREE else make_client()
    client.apiKey, client.secret = credentials["apiKey"], credentials["secret"]
    client.password = credentials["password"]
    try:
        yield client
    finally:
        FREE.append(client)


def make_client() -> Any:
    """Return a client that keeps its connections alive and loads no markets, which balances do not need."""
    options = {
        "hostname": settings().exchange,
        "session": exchange_session(),
        "enableRateLimit": False,
    }
    client = ccxt.okx(options)
    client.markets = {}
    return client


def sync(sync_id: str, account_id: str, funding: bool, reply_to: str) -> None:  # noqa: FBT001 - a message
    """Read an account, store its balances and publish the result."""
    try:
        result = read_and_store(sync_id, account_id, funding=funding)
    except (ccxt.BaseError, VaultError, requests.RequestException) as error:
        with database().connection() as connection:
            connection.execute(FAIL, [type(error).__name__, sync_id])
        result = {"sync_id": sync_id, "status": "failed", "error": type(error).__name__}
    redis().publish(reply_to, sync_id + json.dumps(result, separators=(",", ":")))


def read_and_store(sync_id: str, account_id: str, *, funding: bool) -> dict[str, object]:
    """Read the secret and the wallets, store the balances in one statement, and return the result."""
    kept = vault().secrets.kv.v2.read_secret_version(
        account_id, mount_point=MOUNT, raise_on_deleted_version=True
    )
    wallets = ["trading", "funding"] if funding else ["trading"]
    with exchange(kept["data"]["data"]) as client:
        read = [(wallet, client.fetch_balance({"type": wallet})) for wallet in wallets]
    rows = [
        (wallet, asset, total, balance["free"].get(asset), balance["used"].get(asset))
        for wallet, balance in read
        for asset, total in balance["total"].items()
    ]
    columns = dict(
        zip(("wallets", "assets", "total", "free", "used"), map(list, zip(*rows, strict=True)), strict=True)
    )
    with database().connection() as connection:
        connection.execute(STORE, {**columns, "sync": sync_id, "account": account_id, "read": wallets})
    balances = [{"wallet": row[0], "asset": row[1], "total": row[2], "free": row[3]} for row in rows]
    return {"sync_id": sync_id, "status": "completed", "balances": balances}


queue = make_queue()
queue.task(sync, name=SYNC)

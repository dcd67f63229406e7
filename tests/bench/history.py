"""History: a year of closes and 90 days of snapshots, how fast they are read, and how they are kept."""

import argparse
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import httpx
import msgspec
from psycopg import AsyncClientCursor

from deploy.local.postgres import GATEWAY, SUPERUSER, Postgres
from gateway.housekeeping import thin
from gateway.portfolio.history import History, no_point
from gateway.portfolio.sums import sum_of
from gateway.portfolio.values import PriceRecord
from gateway.rows.prices import Method
from gateway.rows.snapshots import Amount, Content, Past, Snapshot, WalletPart
from gateway.store import retention
from gateway.store.pool import Connection, Pool
from tests.bench.accounts import PASSWORD
from tests.bench.asking import asked
from tests.bench.report import Report
from tests.bench.stacks import Bench

FILL = Path(__file__).with_suffix(".sql")
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
WALLETS = ("trading", "funding")
# Accounts and assets of each of the users whose year is read.
READERS = ((1, 5), (10, 5), (1, 50), (10, 50))
ASSETS = 5
CALL_SECONDS = 60
WARM = 3
LONGEST_BATCHES = 500
SIZES = """select parent, sum(pg_total_relation_size(child))::bigint from (
        select inhparent::regclass::text as parent, inhrelid as child from pg_inherits
        where inhparent in ('closes'::regclass, 'snapshots'::regclass)) as parts
    group by parent order by parent"""
DUE = "update thinnings set next_at = now() where next_at = 'infinity'"
SIZE_COLUMNS = (
    *("accounts", "closes MiB", "bytes a close", "snapshots MiB", "bytes a snapshot", "closes, to first"),
)
READ_COLUMNS = ("accounts", "assets of each", "p50 ms", "p95 ms", "response KiB", "an asset's year p50 ms")
KEEP_COLUMNS = ("part", "transactions", "p50 ms", "p95 ms", "longest ms")


async def history(bench: Bench, options: argparse.Namespace, report: Report) -> None:
    """Fill step by step, read the year of some users, and keep house; this stack is thrown away."""
    database, filled = bench.stack.parts.database, 0
    rows: list[Sequence[str]] = []
    first = 0.0
    for accounts in options.history_accounts:
        await _fill(database, "history", (filled + 1, accounts), ASSETS, options.changes)
        filled = accounts
        sizes = {str(name): int(size) for name, size in await asked(database, SIZES)}
        first = first or sizes["closes"] / filled
        rows.append(_size_row(filled, options.changes, sizes, first))
    report.table("History, size", SIZE_COLUMNS, rows)
    async with httpx.AsyncClient(
        base_url=f"{bench.stack.api}/api/v1", timeout=CALL_SECONDS, trust_env=False
    ) as client:
        read = [await _read(client, database, each, options) for each in READERS]
    report.table("History, a user's daily year", READ_COLUMNS, read)
    with bench.only(()):
        report.table("History, housekeeping", KEEP_COLUMNS, await _kept(database))


def model(assets: int) -> tuple[str, str]:
    """Return the content of an account and its sum as JSON, with @ for their time."""
    wallets = tuple(WalletPart(name, "fresh", MOMENT) for name in WALLETS)
    names = [f"A{number}" for number in range(assets)]
    prices = {
        name: PriceRecord(Decimal("1234.56"), Method.CROSS, "okx", MOMENT, pair=f"{name}-USDT")
        for name in names
    }
    quantity = Decimal("0.12345678")
    amounts = tuple(
        Amount(WALLETS[number % 2], name, quantity, quantity * Decimal("1234.56"))
        for number, name in enumerate(names)
    )
    content = Content(wallets, amounts, prices)
    close = Snapshot(UUID(int=1), MOMENT, MOMENT, 7200, content)
    past = Past(UUID(int=1), "", "okx", MOMENT, None, [close], None, [])
    (then,) = History([past], no_point).at(MOMENT).accounts
    assert then.values is not None
    written = (msgspec.json.encode(each).decode() for each in (content, sum_of(then.values)))
    moment = msgspec.json.encode(MOMENT).decode().strip('"')
    text, summed = (each.replace(moment, "@") for each in written)
    return text, summed


async def _fill(
    database: Postgres,
    name: str,
    numbers: tuple[int, int],
    assets: int,
    changes: int,
    owner: UUID | None = None,
) -> None:
    content, summed = model(assets)
    values = {"first": numbers[0], "last": numbers[1], "owner": owner, "name": name}
    values |= {"content": content, "sum": summed, "changes": changes}
    async with await database.connect(SUPERUSER) as connection:
        await AsyncClientCursor(connection).execute(FILL.read_bytes(), values)
        for table in ("closes", "snapshots", "open_snapshots", "accounts", "thinnings"):
            await connection.execute(f"analyze {table}".encode())


def _size_row(accounts: int, changes: int, sizes: dict[str, int], first: float) -> Sequence[str]:
    closes, snapshots = sizes["closes"], sizes["snapshots"]
    return (
        str(accounts),
        f"{closes / 2**20:.0f}",
        f"{closes / accounts / 365:.0f}",
        f"{snapshots / 2**20:.0f}",
        f"{snapshots / accounts / 90 / changes:.0f}",
        f"{closes / accounts / first:.2f}x",
    )


async def _read(
    client: httpx.AsyncClient, database: Postgres, of: tuple[int, int], options: argparse.Namespace
) -> Sequence[str]:
    """Register a user with so many accounts of so many assets, and read the year again and again."""
    accounts, assets = of
    login = {"email": f"year-{accounts}-{assets}@example.com", "password": PASSWORD}
    (await client.post("/auth/register", json=login)).raise_for_status()
    tokens = (await client.post("/auth/login", json=login)).raise_for_status().json()
    client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    ((owner,),) = await asked(database, "select id from users where email = %(email)s", email=login["email"])
    await _fill(database, f"year-{assets}", (1, accounts), assets, 1, owner)
    first = f"{datetime.now(UTC) - timedelta(days=365):%Y-%m-%dT%H:%M:%SZ}"
    year = f"/portfolio/history?interval=day&from={first}"
    times, size = await _timed(client, year, options.year_reads)
    by_content, _ = await _timed(client, f"/portfolio/assets/A0/history?interval=day&from={first}", 5)
    return (
        str(accounts),
        str(assets),
        f"{_of(times, 0.5):.1f}",
        f"{_of(times, 0.95):.1f}",
        f"{size / 1024:.0f}",
        f"{_of(by_content, 0.5):.0f}",
    )


async def _timed(client: httpx.AsyncClient, path: str, count: int) -> tuple[list[float], int]:
    """Return the ms of requests, sorted, and the bytes of the last response."""
    times, size = [], 0
    for number in range(WARM + count):
        began = time.perf_counter()
        answer = (await client.get(path)).raise_for_status()
        if number >= WARM:
            times.append((time.perf_counter() - began) * 1000)
        size = len(answer.content)
        known = [point for point in answer.json()["points"] if point["total_usd"] is not None]
        assert len(known) >= 360
    return sorted(times), size


async def _kept(database: Postgres) -> list[Sequence[str]]:
    """Thin the snapshots and add a partition, as housekeeping does; a transaction holds its locks."""
    await asked(database, DUE)
    await asked(database, f"drop table if exists closes_{datetime.now(UTC).year + 3}")
    pool = Pool(database.url(GATEWAY), database.password_file(GATEWAY).read_text())
    await pool.start()
    try:
        return [
            _keep_row(name, await _batches(pool, work))
            for name, work in (
                ("snapshots thinned", lambda connection: thin(connection, [])),
                ("partitions added", retention.add_partition),
            )
        ]
    finally:
        await pool.stop()


async def _batches(pool: Pool, work: Callable[[Connection], Awaitable[object]]) -> list[float]:
    """Return the ms of each transaction until nothing is left, sorted."""
    times = []
    for _ in range(LONGEST_BATCHES):
        began = time.perf_counter()
        async with pool.transaction() as connection:
            done = await work(connection)
        if not done:
            break
        times.append((time.perf_counter() - began) * 1000)
    return sorted(times)


def _keep_row(name: str, times: list[float]) -> Sequence[str]:
    known = times or [0.0]
    told = (_of(known, 0.5), _of(known, 0.95), known[-1])
    return name, str(len(times)), *(f"{each:.1f}" for each in told)


def _of(values: Sequence[float], share: float) -> float:
    """Return the value below which so large a share of sorted values is."""
    return values[min(len(values) - 1, int(share * len(values)))]
